"""Statistics by a product's expert: of its own product's images, and of those misrouted to it."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from moleflow.compute.precision import matrix_products
from moleflow.features.image_features import ImageFeatures, StandardizedFeatures
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.orientations import least_over_turns
from moleflow.features.prototype import Prototype
from moleflow.features.relative_likelihood import RelativeLikelihood
from moleflow.files.paths import Paths
from moleflow.files.record_file import Statistics, require_finite
from moleflow.flow.density import Density, for_inference
from moleflow.flow.expert_files import load_expert

THROUGH_AT_ONCE = 32  # images


@torch.inference_mode()
def patch_statistics(
    density: Density,
    normal: NormalPatches,
    relative: RelativeLikelihood | None,
    features: Float[Tensor, "N H W C"],
    *,
    log_det: float,
    dtype: torch.dtype,
    orientations: int = 1,
) -> dict[str, Float[Tensor, "N H W"]]:
    """Statistics of patches by a density and the normal patches.

    Args:
        density: base and expert, in eval mode; it models the features' first channels.
        normal: what is kept of the product's normal patches.
        relative: how unlikely these are; None without a memory bank.
        features: standardized patch features on the density's device, (N, H, W, C).
        log_det: log-determinant of the standardization of the channels that are modeled, in nats.
        dtype: arithmetic of the matrix products.
        orientations: quarter turns in which images are judged, 1 or 4: what depends on a patch's place is the least of
            them.

    Returns:
        The `Statistics`, (N, H, W) each, float32, on the same device.
    """

    def judge(turned: Tensor) -> dict[str, Tensor]:
        modeled = turned[..., : density.channels].float()
        with matrix_products(turned.device, dtype):
            likelihood = density(modeled)
            free = density.free and density.free(modeled)
        whole = likelihood._replace(log_det=likelihood.log_det + log_det)
        found = {"nll": whole.nll, "latent": whole.latent, "neg_log_det": -whole.log_det}
        if free:
            found["nll_free"] = free.nll - log_det
        return found | {"unscaled": likelihood.nll.float()}  # of standardized features, as the references are

    statistics = least_over_turns(judge, features, orientations)
    unscaled = statistics.pop("unscaled")
    distances, nearest = normal.search(features, orientations)
    if relative:  # it grows with nll, so that the least of it is that of the least nll
        distances["relative"] = relative(unscaled, nearest)
    return {name: statistic.float() for name, statistic in (statistics | distances).items()}


class Expert:
    """A product's densities and normal patches with its prototype.

    There is one of each, or with `calibration: cross` one per fold of the normal images, learned without that fold.
    """

    def __init__(
        self, paths: Paths, name: str, task: str, prototype: Prototype, *, dtype: torch.dtype, orientations: int
    ) -> None:
        """Loads the product's expert, or the one that its task shares.

        Args:
            paths: the repository's paths.
            name: the product.
            task: its task.
            prototype: the product's; its device is where everything is computed.
            dtype: arithmetic of the matrix products.
            orientations: quarter turns in which images are judged, 1 or 4.

        Raises:
            ArtifactError: a file is missing, broken, or belongs to another base.
        """
        self.name, self.prototype, self.dtype, self.orientations = name, prototype, dtype, orientations
        expert, device = paths.expert_of(name, task), prototype.matrix.device
        self.densities, self.normal_patches, self.relatives = load_expert(
            paths.base, expert, product=name, device=device
        )
        if dtype == torch.float32:  # merged, a small LoRA would be lost in a shorter precision
            self.densities = [for_inference(density) for density in self.densities]
        self.log_det = prototype.log_det(self.densities[0].channels)

    def statistics(self, features: ImageFeatures, images: list[str]) -> Statistics:
        """Statistics by the density of every fold.

        Args:
            features: standardized patch features of N images, (N, H, W, C).
            images: what to call these images in an error.

        Returns:
            (F, N, H, W) each.

        Raises:
            ArtifactError: a statistic is not finite; names product, image and statistic.
        """
        parts = [self._of_fold(fold, features, images) for fold in range(len(self.densities))]
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
        taken = {fold: features.take(np.flatnonzero(folds == fold)) for fold in np.unique(folds).tolist()}
        parts = [self._of_fold(fold, held_out, held_out.images) for fold, held_out in taken.items()]
        return {name: np.concatenate([part[name] for part in parts])[np.argsort(order)] for name in parts[0]}

    def left_out_statistics(self, features: StandardizedFeatures) -> Statistics:
        """Statistics of the training images, each as if it had not been among them, where that can be told.

        Args:
            features: standardized patch features of the training images and of their rotated copies.

        Returns:
            (N, H, W) each, of N training images without copies: the distances to the normal patches. A likelihood is
            not among them: the density would have to be learned again.

        Raises:
            ArtifactError: a statistic is not finite; names product, image and statistic.
        """
        with torch.inference_mode():
            found = self.normal_patches[0].left_out_distances(features, self.orientations)
        statistics = {name: distances.float().cpu().numpy() for name, distances in found.items()}
        require_finite(statistics, self.name, features.images)
        return statistics

    def _of_fold(self, fold: int, features: ImageFeatures, images: list[str]) -> Statistics:
        """Statistics by one density, of a few images at a time."""
        density, normal, relative = self.densities[fold], self.normal_patches[fold], self.relatives[fold]
        batches: list[Statistics] = []
        starts = range(0, len(features), THROUGH_AT_ONCE)
        for start in tqdm(starts, desc=f"statistics {self.name}", unit="batch", disable=len(starts) == 1):
            batch = features[start : start + THROUGH_AT_ONCE]
            found = patch_statistics(
                density,
                normal,
                relative,
                batch,
                log_det=self.log_det,
                dtype=self.dtype,
                orientations=self.orientations,
            )
            batches.append({name: statistic.cpu().numpy() for name, statistic in found.items()})
        statistics = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        require_finite(statistics, self.name, images)
        return statistics
