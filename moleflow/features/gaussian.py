"""The distribution of a product's embeddings, which some routers read."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """The distribution of a product's embeddings.

    Attributes:
        center: their mean, (C,).
        directions: orthonormal leading directions of their covariance, (r, C).
        variances: its eigenvalues along them, (r,), shrunk.
        floor: variance along every other direction, ().
    """

    center: Float[Tensor, " C"]
    directions: Float[Tensor, "r C"]
    variances: Float[Tensor, " r"]
    floor: Float[Tensor, ""]


def fit_gaussian(embedded: Float[Tensor, "N C"], rank: int) -> Gaussian:
    """Fits a Gaussian whose covariance is shrunk and kept as a few directions and one floor.

    The covariance of the embeddings is singular (fewer images than channels), so it is shrunk
    toward a multiple of the identity: as far as Ledoit and Wolf's estimate asks, and by 1/N at least,
    since of two or three images the estimate may be 0.

    Args:
        embedded: embeddings of normal images, (N, C).
        rank: directions to keep; at most images − 1 and channels − 1 are kept.

    Returns:
        The Gaussian.

    Source: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", 2004, for the shrinkage.
    """
    # It takes a third of a second to import, and most stages only read Gaussians.
    from sklearn.covariance import empirical_covariance, ledoit_wolf, shrunk_covariance

    samples = embedded.double().numpy()
    covariance, shrinkage = ledoit_wolf(samples)
    if shrinkage < 1 / len(samples):
        covariance = shrunk_covariance(empirical_covariance(samples), 1 / len(samples))
    variances, directions = torch.linalg.eigh(torch.from_numpy(covariance))  # ascending
    rank = min(rank, len(embedded) - 1, len(variances) - 1)
    kept = slice(len(variances) - rank, None)
    return Gaussian(
        center=embedded.mean(0),
        directions=directions.T[kept].float(),
        variances=variances[kept].float(),
        floor=variances[: len(variances) - rank].mean().float(),
    )
