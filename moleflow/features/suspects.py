"""Suspects: training images that may show a defect, since they look unlike all others."""

from typing import Any

import torch

from moleflow.features.normal_patches import NormalPatches
from moleflow.features.prototype import Prototype
from moleflow.files.feature_store import Split

HIGHEST = 3  # patches of an image that count
MEMORY_SIZE = 2000  # patches of each layer, of the search alone


def find_suspects(prototype: Prototype, train: Split, share: float) -> list[str]:
    """Finds the training images that are the most isolated when each is compared with all others.

    An image's isolation is the mean of its highest patches, a patch's the mean over layers of its distance to the
    nearest patch of the others (`NormalPatches.left_out_distances`), in standard deviations over all training patches.

    Args:
        prototype: made from all training images.
        train: the training split.
        share: of the images to name, in [0, 1); rounded to whole images.

    Returns:
        Their names, in the order of the split.
    """
    count = round(share * len(train.images))
    if not count:
        return []
    features = prototype.standardized(train)
    sizes: dict[str, Any] = {"memory_size": MEMORY_SIZE, "memory_center": "none", "gaussian_rank": 0}
    normal = NormalPatches.of(features, prototype.layers, **sizes)
    distances = normal.left_out_distances(features).values()
    patches = torch.stack([(each - each.mean()) / each.std().clamp_min(1e-6) for each in distances]).mean(0).flatten(1)
    isolation = patches.topk(min(HIGHEST, patches.shape[1]), dim=1).values.mean(1)
    rows = isolation.topk(count).indices.sort().values
    return [train.images[row] for row in rows.tolist()]
