"""Routing: which product does an image show?"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.prototypes import Prototype

# A member maps a prototype, embeddings (N, C) and "is the prototype the images' own product's" to
# one distance per image, (N,). Only the oracle looks at the last.


def mahalanobis(prototype: Prototype, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """Squared Mahalanobis distance under the prototype's shrunk low-rank covariance.

    d² = Σ_i (u_i·v)²/λ_i + (‖v‖² − Σ_i (u_i·v)²)/floor for v = e − center.
    """
    offset = (embedded - prototype.center).double()
    along = (offset @ prototype.directions.T.double()).square()  # (N, r)
    rest = (offset.square().sum(1) - along.sum(1)).clamp_min(0)
    return (along / prototype.variances.double()).sum(1) + rest / prototype.floor.double()


def euclidean(prototype: Prototype, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """Squared Euclidean distance to the prototype's centre."""
    return (embedded - prototype.center).double().square().sum(1)


def oracle(prototype: Prototype, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """The product is given: 0 for its own prototype, 1 for any other."""
    return torch.full((len(embedded),), 0.0 if own else 1.0, dtype=torch.double)


ROUTERS: dict[str, Callable[[Prototype, Tensor, bool], Tensor]] = {
    "mahalanobis": mahalanobis,
    "euclidean": euclidean,
    "oracle": oracle,
}


def nearest_by_step(distances: Float[Tensor, "N K"]) -> Tensor:
    """Where each image goes after each product's arrival.

    Args:
        distances: to the prototypes in order of arrival, (N, K).

    Returns:
        Index of the nearest among the first i+1 prototypes, (N, K), int64; ties go to the earliest.
    """
    return torch.stack([distances[:, : step + 1].argmin(1) for step in range(distances.shape[1])], dim=1)
