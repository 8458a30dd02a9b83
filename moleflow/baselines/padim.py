"""One Gaussian per patch position, as in PaDiM."""

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.features.image_features import ImageFeatures
from moleflow.features.position_gaussians import PositionMoments, announce_covariances


class PaDiM:
    """Mahalanobis distance under one Gaussian per patch position.

    Source: Defard et al., "PaDiM", ICPR 2020, sections III-B and III-C, without its random choice of
    channels.
    """

    def __init__(self, features: ImageFeatures, *, feature_memory: float) -> None:
        """Fits mean and covariance + 0.01·I at every position.

        Args:
            features: patch features of training images, (N, H, W, C).
            feature_memory: GiB of them that are held at once; says so first if the covariances take more than that.
        """
        _, height, _, channels = features.shape
        announce_covariances("padim", features.shape[1:], feature_memory)
        moments = PositionMoments.of(features)
        self.mean = moments.mean
        self.inverse_covariance = moments.products  # in place: it is the largest thing there is
        identity = torch.eye(channels, device=features.device)
        for row in range(height):
            covariance = moments.covariance(row) + 0.01 * identity
            self.inverse_covariance[row] = torch.cholesky_inverse(torch.linalg.cholesky(covariance))

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """Mahalanobis distance of every patch.

        Args:
            features: patch features, (N, H, W, C).

        Returns:
            Distances, (N, H, W).
        """
        rows = []
        for row in range(features.shape[1]):
            offset = (features[:, row].float() - self.mean[row]).transpose(0, 1)  # (W, N, C)
            rows.append((offset @ self.inverse_covariance[row] * offset).sum(2).clamp_min(0).sqrt().T)  # (N, W)
        return torch.stack(rows, dim=1)
