"""Statistics by a product's expert: of its own product's images, and of those misrouted to it."""

import numpy as np
import torch
from tqdm import tqdm

from moleflow.features.image_features import ImageFeatures, StandardizedFeatures
from moleflow.features.memory_bank import MemoryBank
from moleflow.features.prototype import load_prototype
from moleflow.files.paths import Paths
from moleflow.files.record_file import Statistics, require_finite
from moleflow.flow.density import Density
from moleflow.flow.expert_files import load_expert

THROUGH_AT_ONCE = 32  # images


class Expert:
    """A product's densities and memory banks with its standardization.

    There is one of each, or with `calibration: cross` one per fold of the normal images, learned without that fold.
    """

    def __init__(self, paths: Paths, name: str, task: str, dtype: torch.dtype) -> None:
        """Loads the product's expert, or the one that its task shares, and its prototype.

        Args:
            paths: the repository's paths.
            name: the product.
            task: its task.
            dtype: arithmetic of the matrix products.

        Raises:
            ArtifactError: a file is missing, broken, or belongs to another base.
        """
        self.name = name
        self.densities, self.memory_banks = load_expert(paths.base, paths.expert_of(name, task), product=name)
        self.prototype = load_prototype(paths.prototype_of(name, task))
        self.dtype = dtype

    def statistics(self, features: StandardizedFeatures) -> Statistics:
        """Statistics by the density of every fold.

        Args:
            features: standardized patch features of N images.

        Returns:
            (F, N, H, W) each.

        Raises:
            ArtifactError: a statistic is not finite; names product, image and statistic.
        """
        parts = [self._statistics(fold, features) for fold in range(len(self.densities))]
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}

    def statistics_by_fold(self, features: StandardizedFeatures, folds: np.ndarray) -> Statistics:
        """Statistics of each image by the density that did not see the image's fold.

        Args:
            features: standardized patch features of N images.
            folds: fold of each of them, (N,).

        Returns:
            (N, H, W) each.

        Raises:
            ArtifactError: a statistic is not finite; names product, image and statistic.
        """
        order = np.argsort(folds, kind="stable")
        parts = [
            self._statistics(fold, features.take(np.flatnonzero(folds == fold))) for fold in np.unique(folds).tolist()
        ]
        return {name: np.concatenate([part[name] for part in parts])[np.argsort(order)] for name in parts[0]}

    def _statistics(self, fold: int, features: StandardizedFeatures) -> Statistics:
        density = self.densities[fold]
        statistics = patch_statistics(
            density,
            self.memory_banks[fold],
            features,
            channels=density.channels,
            log_det=self.prototype.log_det(density.channels),
            dtype=self.dtype,
            batch_size=THROUGH_AT_ONCE,
            label=self.name,
        )
        require_finite(statistics, self.name, features.images)
        return statistics


@torch.inference_mode()
def patch_statistics(
    density: Density,
    memory: MemoryBank,
    features: ImageFeatures,
    *,
    channels: int,
    log_det: float,
    dtype: torch.dtype,
    batch_size: int,
    label: str,
) -> Statistics:
    """Computes statistics of patches by a density and a memory bank.

    Args:
        density: base and expert, in eval mode.
        memory: the memory bank; it may be empty.
        features: standardized patch features, (N, H, W, C).
        channels: how many of their channels, from the first on, the density models.
        log_det: log-determinant of the standardization of these channels, in nats.
        dtype: arithmetic of the matrix products.
        batch_size: images at a time.
        label: shown beside the progress bar.

    Returns:
        (N, H, W) each, float32.
    """
    batches: list[Statistics] = []
    for start in tqdm(range(0, len(features), batch_size), desc=f"statistics {label}", unit="batch"):
        batch = features[start : start + batch_size]
        with torch.autocast(batch.device.type, dtype, enabled=dtype != torch.float32):
            likelihood = density(batch[..., :channels].float())
        likelihood = likelihood._replace(log_det=likelihood.log_det + log_det)
        statistics = {"nll": likelihood.nll, "latent": likelihood.latent, "neg_log_det": -likelihood.log_det}
        statistics |= {f"memory{layer}": distance for layer, distance in enumerate(memory.distances(batch))}
        batches.append({name: statistic.float().cpu().numpy() for name, statistic in statistics.items()})
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
