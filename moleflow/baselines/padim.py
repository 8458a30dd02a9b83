"""One Gaussian per patch position, as in PaDiM."""

import torch
from jaxtyping import Float
from torch import Tensor


class PaDiM:
    """Mahalanobis distance under one Gaussian per patch position.

    Source: Defard et al., "PaDiM", ICPR 2020, sections III-B and III-C, without its random choice of
    channels.
    """

    def __init__(self, features: Float[Tensor, "N H W C"]) -> None:
        """Fits mean and covariance + 0.01·I at every position.

        Args:
            features: patch features of training images, (N, H, W, C).
        """
        count, height, width, channels = features.shape
        self.mean = features.float().mean(0)  # (H, W, C)
        self.inverse_covariance = torch.empty(height, width, channels, channels)
        for row in range(height):
            offset = (features[:, row].float() - self.mean[row]).transpose(0, 1)  # (W, N, C)
            covariance = offset.transpose(1, 2) @ offset / max(1, count - 1) + 0.01 * torch.eye(channels)
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
