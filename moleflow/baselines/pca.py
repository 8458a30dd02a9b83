"""The residual of a linear subspace."""

import torch
from jaxtyping import Float
from torch import Tensor


class PCA:
    """What a linear subspace of the normal patches cannot explain.

    Source: Jolliffe, "Principal Component Analysis", 2002, section 10.1: the residual norm of the
    components beyond those that hold 95 % of the variance.
    """

    def __init__(self, features: Float[Tensor, "N H W C"]) -> None:
        """Finds the residual directions of all training patches.

        Args:
            features: patch features of training images, (N, H, W, C).
        """
        patches = features.flatten(0, 2).float()
        self.mean = patches.mean(0)
        variances, directions = torch.linalg.eigh(torch.cov(patches.T))  # ascending
        larger = (variances.sum() - variances.cumsum(0)) / variances.sum()  # explained by the directions above
        self.residual = directions[:, : max(1, int((larger >= 0.95).sum()))]

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """Norm of every patch's residual.

        Args:
            features: patch features, (N, H, W, C).

        Returns:
            Norms, (N, H, W).
        """
        return torch.stack([((image.float() - self.mean) @ self.residual).norm(dim=-1) for image in features])
