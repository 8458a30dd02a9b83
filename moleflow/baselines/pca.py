"""The residual of a linear subspace."""

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.features.image_features import ImageFeatures
from moleflow.features.moments import Moments
from moleflow.files.feature_store import READ_AT_ONCE


class PCA:
    """What a linear subspace of the normal patches cannot explain.

    Source: Jolliffe, "Principal Component Analysis", 2002, section 10.1: the residual norm of the
    components beyond those that hold 95 % of the variance.
    """

    def __init__(self, features: ImageFeatures) -> None:
        """Finds the residual directions of all training patches.

        Args:
            features: patch features of training images, (N, H, W, C).
        """
        count, *_, channels = features.shape
        moments = Moments(channels, features.device)
        for start in range(0, count, READ_AT_ONCE):
            moments.add(features[start : start + READ_AT_ONCE].flatten(0, 2))
        variances, directions = torch.linalg.eigh(moments.covariance())  # ascending
        larger = (variances.sum() - variances.cumsum(0)) / variances.sum()  # explained by the directions above
        residual = directions[:, : max(1, int((larger >= 0.95).sum()))]
        self.mean, self.residual = moments.mean().float().to(features.device), residual.float().to(features.device)

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """Norm of every patch's residual.

        Args:
            features: patch features, (N, H, W, C).

        Returns:
            Norms, (N, H, W).
        """
        return torch.stack([((image.float() - self.mean) @ self.residual).norm(dim=-1) for image in features])
