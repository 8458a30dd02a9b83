"""What a product's expert says of patches: of its own images, and of those that were sent to it."""

import numpy as np
import torch
from tqdm import tqdm

from moleflow.expert_file import expert_file
from moleflow.experts import load_expert
from moleflow.features import ImageFeatures, StandardisedFeatures
from moleflow.flow.density import Density
from moleflow.memory import Memory
from moleflow.paths import BASE, EXPERTS, prototype_path
from moleflow.prototypes import load_prototype
from moleflow.scoring import Statistics, require_finite

BATCH = 32  # images at a time through a density


class Expert:
    """A product's densities and memories with its standardisation.

    There is one of each, or with `calibration: cross` one member per fold of the normal images, each
    learnt without its fold.
    """

    def __init__(self, name: str, task: str, dtype: torch.dtype) -> None:
        """Loads the product's expert, or the one that its task shares, and its prototype.

        Raises:
            ArtifactError: a file is missing, broken, or belongs to another base.
        """
        self.name = name
        self.members, self.memories = load_expert(BASE, expert_file(EXPERTS / task, name), product=name)
        self.prototype = load_prototype(prototype_path(name, task))
        self.dtype = dtype

    def statistics(self, features: StandardisedFeatures) -> Statistics:
        """What every member says of standardised features, (F, N, H, W) each.

        Raises:
            ArtifactError: a statistic is not finite; names product, image and statistic.
        """
        parts = [self._statistics(member, features) for member in range(len(self.members))]
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}

    def statistics_by_fold(self, features: StandardisedFeatures, folds: np.ndarray) -> Statistics:
        """What is said of each image by the member that did not see the image's fold, (N, H, W) each.

        Raises:
            ArtifactError: a statistic is not finite; names product, image and statistic.
        """
        order = np.argsort(folds, kind="stable")
        parts = [
            self._statistics(fold, features.take(np.flatnonzero(folds == fold))) for fold in np.unique(folds).tolist()
        ]
        return {name: np.concatenate([part[name] for part in parts])[np.argsort(order)] for name in parts[0]}

    def _statistics(self, member: int, features: StandardisedFeatures) -> Statistics:
        density = self.members[member]
        found = patch_statistics(
            density,
            self.memories[member],
            features,
            channels=density.channels,
            log_det=self.prototype.log_det(density.channels),
            dtype=self.dtype,
            batch_size=BATCH,
            label=self.name,
        )
        require_finite(found, self.name, features.images)
        return found


@torch.inference_mode()
def patch_statistics(
    density: Density,
    memory: Memory,
    features: ImageFeatures,
    *,
    channels: int,
    log_det: float,
    dtype: torch.dtype,
    batch_size: int,
    label: str,
) -> Statistics:
    """Judges standardised features by a product's density and memory.

    Args:
        density: base and expert, in eval mode.
        memory: patches of its layers; it may be empty.
        features: standardised patch features, (N, H, W, C).
        channels: how many of them, from the first on, the density models.
        log_det: of the standardisation of these, in nats.
        dtype: arithmetic of the matrix products.
        batch_size: images at a time.
        label: shown beside the progress bar.
    """
    batches: list[Statistics] = []
    for start in tqdm(range(0, len(features), batch_size), desc=f"score {label}", unit="batch"):
        batch = features[start : start + batch_size]
        with torch.autocast(batch.device.type, dtype, enabled=dtype != torch.float32):
            judged = density(batch[..., :channels].float())
        judged = judged._replace(log_det=judged.log_det + log_det)
        found = {"nll": judged.nll, "latent": judged.latent, "log_det": -judged.log_det}
        found |= {f"memory{layer}": distance for layer, distance in enumerate(memory.distances(batch))}
        batches.append({name: values.float().cpu().numpy() for name, values in found.items()})
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
