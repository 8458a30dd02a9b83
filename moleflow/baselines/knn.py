"""Nearest neighbor in a coreset, as in PatchCore."""

from jaxtyping import Float
from torch import Tensor

from moleflow.features.image_features import ImageFeatures
from moleflow.features.memory_bank import memorize


class KNN:
    """Distance to the nearest patch of a coreset, all layers together: `MemoryBank` as a method of its own.

    Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022.
    """

    def __init__(self, features: ImageFeatures, *, coreset_size: int) -> None:
        """Chooses patches that cover the training patches.

        Args:
            features: patch features of training images, (N, H, W, C).
            coreset_size: patches to keep.
        """
        self.memory_bank = memorize(features, [features.shape[-1]], size=coreset_size)

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """Distance of every patch to the nearest of the coreset.

        Args:
            features: patch features, (N, H, W, C).

        Returns:
            Distances, (N, H, W).
        """
        return self.memory_bank.distances(features)[0]
