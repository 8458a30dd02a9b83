"""Routers: how far is an image from a product's prototype? The nearest one is chosen."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.features.gaussian import Gaussian

# A member maps a product's Gaussian, embeddings (N, C), and whether that product is the images' own to one
# distance per image, (N,). Only the oracle uses the last.


def mahalanobis(gaussian: Gaussian, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """Squared Mahalanobis distance under the shrunk low-rank covariance.

    d² = Σ_i (u_i·v)²/λ_i + (‖v‖² − Σ_i (u_i·v)²)/floor for v = e − center.

    Args:
        gaussian: the product's Gaussian.
        embedded: embeddings of images, (N, C).
        own: not used.

    Returns:
        Distances, (N,), float64.

    Source: docs/method.md, Routers.
    """
    offset = (embedded - gaussian.center).double()
    along = (offset @ gaussian.directions.T.double()).square()  # (N, r)
    rest = (offset.square().sum(1) - along.sum(1)).clamp_min(0)
    return (along / gaussian.variances.double()).sum(1) + rest / gaussian.floor.double()


def euclidean(gaussian: Gaussian, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """Squared Euclidean distance to the center of the product's embeddings.

    Args:
        gaussian: of it the center alone is used.
        embedded: embeddings e of images, (N, C).
        own: not used.

    Returns:
        ‖e − center‖², (N,), float64.
    """
    return (embedded - gaussian.center).double().square().sum(1)


def oracle(gaussian: Gaussian, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """A router that is given the product.

    Args:
        gaussian: not used.
        embedded: embeddings of images, (N, C); only N is used.
        own: whether the Gaussian is that of the images' own product.

    Returns:
        0 for the own product, 1 for any other, (N,), float64.
    """
    return torch.full((len(embedded),), 0.0 if own else 1.0, dtype=torch.double)


ROUTERS: dict[str, Callable[[Gaussian, Tensor, bool], Tensor]] = {
    "mahalanobis": mahalanobis,
    "euclidean": euclidean,
    "oracle": oracle,
}


def nearest_by_task(distances: Float[Tensor, "N K"], known: list[int]) -> Tensor:
    """Routes each image after each task.

    Args:
        distances: to the prototypes in order of arrival, (N, K).
        known: how many prototypes are known after each task, (T,).

    Returns:
        Index of the nearest among the known prototypes, (N, T), int64; ties go to the earliest.
    """
    return torch.stack([distances[:, :count].argmin(1) for count in known], dim=1)


def misrouted_rows(chosen: dict[str, np.ndarray], product: str) -> dict[str, np.ndarray]:
    """Test images of other products that are misrouted to a product after any task.

    Args:
        chosen: per product, in order of arrival, index of the product chosen for each of its images after each task
            since then, (N, T).
        product: the product that they are routed to.

    Returns:
        Rows of these images by their own product, (n,), where there are any.
    """
    number = list(chosen).index(product)
    rows = {other: np.flatnonzero((routed == number).any(1)) for other, routed in chosen.items() if other != product}
    return {other: misrouted for other, misrouted in rows.items() if len(misrouted)}
