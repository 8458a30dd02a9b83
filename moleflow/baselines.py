"""Rivals on the same features: what a product's patches are compared with instead of a density.

Each is fitted on a product's training features, every channel scaled to unit variance, and gives every patch
of an image a distance; routing, calibration, aggregation and evaluation are those of the flow.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.memory import Memory, memorise


class Baseline(Protocol):
    """A fitted rival."""

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """One distance per patch, higher is more anomalous."""
        ...


class KNN:
    """Distance to the nearest patch of a coreset, all layers together: `Memory` as a method of its own.

    Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022.
    """

    def __init__(self, features: Float[Tensor, "N H W C"], seed: int, coreset_size: int) -> None:
        """Chooses `coreset_size` patches that cover the training patches."""
        self.memory = Memory(memorise(features, [features.shape[-1]], size=coreset_size, seed=seed))

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """Distance of every patch to the nearest of the coreset."""
        return self.memory.distances(features)[0]


class PaDiM:
    """Mahalanobis distance under one Gaussian per patch position.

    Source: Defard et al., "PaDiM", ICPR 2020, sections III-B and III-C, without its random choice of
    channels.
    """

    def __init__(self, features: Float[Tensor, "N H W C"], seed: int, coreset_size: int) -> None:
        """Fits mean and covariance + 0.01·I at every position."""
        count, height, width, channels = features.shape
        self.mean = features.float().mean(0)  # (H, W, C)
        self.inverse = torch.empty(height, width, channels, channels)
        for row in range(height):
            offset = (features[:, row].float() - self.mean[row]).transpose(0, 1)  # (W, N, C)
            covariance = offset.transpose(1, 2) @ offset / max(1, count - 1) + 0.01 * torch.eye(channels)
            self.inverse[row] = torch.cholesky_inverse(torch.linalg.cholesky(covariance))

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """Mahalanobis distance of every patch."""
        rows = []
        for row in range(features.shape[1]):
            offset = (features[:, row].float() - self.mean[row]).transpose(0, 1)  # (W, N, C)
            rows.append((offset @ self.inverse[row] * offset).sum(2).clamp_min(0).sqrt().T)  # (N, W)
        return torch.stack(rows, dim=1)


class PCA:
    """What a linear subspace of the normal patches cannot explain.

    Source: Jolliffe, "Principal Component Analysis", 2002, section 10.1: the residual norm of the
    components beyond those that hold 95 % of the variance.
    """

    def __init__(self, features: Float[Tensor, "N H W C"], seed: int, coreset_size: int) -> None:
        """Finds the residual directions of all training patches."""
        patches = features.flatten(0, 2).float()
        self.mean = patches.mean(0)
        variances, directions = torch.linalg.eigh(torch.cov(patches.T))  # ascending
        larger = (variances.sum() - variances.cumsum(0)) / variances.sum()  # explained by the directions above
        self.residual = directions[:, : max(1, int((larger >= 0.95).sum()))]

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """Norm of every patch's residual."""
        return torch.stack([((image.float() - self.mean) @ self.residual).norm(dim=-1) for image in features])


BASELINES: dict[str, Callable[[Tensor, int, int], Baseline]] = {"knn": KNN, "padim": PaDiM, "pca": PCA}
