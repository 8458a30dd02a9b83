"""The products of a task, read from its folder of prototypes."""

from collections.abc import Callable

import numpy as np
import torch

from moleflow.features.image_features import StandardizedFeatures
from moleflow.features.prototype import Prototype, load_prototype, require_own_features
from moleflow.files.feature_store import NORMAL, PAINTED, StoreError, open_split
from moleflow.files.learned_splits import learned_splits
from moleflow.files.order import read_task
from moleflow.files.paths import Paths
from moleflow.files.probe_names import sources_of
from moleflow.files.tidying import tidy_task


def load_task(paths: Paths, task: str, device: torch.device) -> dict[str, Prototype]:
    """Loads the prototypes of a task's products; other files in their folder are deleted.

    Args:
        paths: the repository's paths.
        task: the task.
        device: where features are computed and learned from.

    Returns:
        Product to its prototype, in order of arrival.

    Raises:
        ArtifactError: the list of products or a prototype is missing or broken.
        StoreError: a product's features are missing, or changed after its prototype was made.
    """
    names = read_task(paths.task_params(task))
    tidy_task(paths, task, names)
    prototypes = {product: load_prototype(paths.prototype_of(product, task), device) for product in names}
    for product, prototype in prototypes.items():
        require_own_features(prototype, *learned_splits(paths, product))
    return prototypes


def normal_features(paths: Paths, name: str, prototype: Prototype, *splits: str) -> StandardizedFeatures:
    """Standardized features of a product's normal images, the only ones that learning sees.

    Args:
        paths: the repository's paths.
        name: the product.
        prototype: its prototype.
        *splits: some of train, rotated, calibration.

    Returns:
        Features of the images of these splits, (N, H, W, C), read when rows are taken.

    Raises:
        StoreError: another split is asked for, since no test image takes part in learning, or a split is missing.
    """
    other = [split for split in splits if split not in NORMAL]
    if other:
        raise StoreError(f"{name}: {other[0]} images are not for learning; it is given {', '.join(NORMAL)} alone")
    return prototype.standardized(*(open_split(paths.features.of(name), split) for split in splits))


def painted_features(
    paths: Paths, learned: dict[str, StandardizedFeatures], prototypes: dict[str, Prototype], channels: int
) -> dict[str, StandardizedFeatures]:
    """Standardized features of training images with painted defects, of those images alone that are learned from.

    Args:
        paths: the repository's paths.
        learned: features of the normal images that are learned from, by product.
        prototypes: the products' prototypes.
        channels: how many channels the flow models.

    Returns:
        Features of painted images by product, (P, H, W, channels); none of a product without painted images.

    Raises:
        StoreError: a store is missing or holds features of another backbone.
    """
    found = {}
    for product, features in learned.items():
        painted = open_split(paths.probes.of(product), PAINTED)
        train, names = open_split(paths.features.of(product), "train").images, set(features.images)
        rows = np.flatnonzero([train[source] in names for source in sources_of(painted.images)])
        if len(rows):
            found[product] = prototypes[product].standardized(painted).take(rows).first(channels)
    return found


# A member maps a task and its products to the products that share an expert, by the name of the expert.
EXPERT_GROUPS: dict[str, Callable[[str, list[str]], dict[str, list[str]]]] = {
    "class": lambda task, products: {product: [product] for product in products},
    "task": lambda task, products: {task: products},
}
