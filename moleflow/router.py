"""Routing: which product does an image show, and is it a known one?"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import stdtr
from torch import Tensor

from moleflow.calibration import ROUNDING, p_values

TAIL_IMAGES = 5  # training images from which on a product can be told from unknown ones at any reject_rate


@dataclass(frozen=True)
class Gaussian:
    """Where a product's embeddings lie.

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
    towards a multiple of the identity: as far as Ledoit and Wolf's estimate asks, and by 1/N at least,
    since of two or three images the estimate may be 0.

    Args:
        embedded: embeddings of normal images.
        rank: directions kept, at most images − 1 and channels − 1.

    Source: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", 2004, for the shrinkage.
    """
    # a third of a second to import, and most stages only read Gaussians
    from sklearn.covariance import empirical_covariance, ledoit_wolf, shrunk_covariance

    values = embedded.double().numpy()
    covariance, shrinkage = ledoit_wolf(values)
    if shrinkage < 1 / len(values):
        covariance = shrunk_covariance(empirical_covariance(values), 1 / len(values))
    variances, directions = torch.linalg.eigh(torch.from_numpy(covariance))  # ascending
    rank = min(rank, len(embedded) - 1, len(variances) - 1)
    kept = slice(len(variances) - rank, None)
    return Gaussian(
        center=embedded.mean(0),
        directions=directions.T[kept].float(),
        variances=variances[kept].float(),
        floor=variances[: len(variances) - rank].mean().float(),
    )


# A member maps a product's Gaussian, embeddings (N, C) and "is it the images' own product's" to one
# distance per image, (N,). Only the oracle looks at the last.


def mahalanobis(gaussian: Gaussian, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """Squared Mahalanobis distance under the shrunk low-rank covariance.

    d² = Σ_i (u_i·v)²/λ_i + (‖v‖² − Σ_i (u_i·v)²)/floor for v = e − center.
    """
    offset = (embedded - gaussian.center).double()
    along = (offset @ gaussian.directions.T.double()).square()  # (N, r)
    rest = (offset.square().sum(1) - along.sum(1)).clamp_min(0)
    return (along / gaussian.variances.double()).sum(1) + rest / gaussian.floor.double()


def euclidean(gaussian: Gaussian, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """Squared Euclidean distance to the centre."""
    return (embedded - gaussian.center).double().square().sum(1)


def oracle(gaussian: Gaussian, embedded: Float[Tensor, "N C"], own: bool) -> Float[Tensor, " N"]:
    """The product is given: 0 for its own, 1 for any other."""
    return torch.full((len(embedded),), 0.0 if own else 1.0, dtype=torch.double)


ROUTERS: dict[str, Callable[[Gaussian, Tensor, bool], Tensor]] = {
    "mahalanobis": mahalanobis,
    "euclidean": euclidean,
    "oracle": oracle,
}


def held_out_strangeness(embedded: Float[Tensor, "N C"]) -> Float[Tensor, " N"]:
    """Squared Euclidean distance of each image to the centre of all others.

    What tells an unknown product is the Euclidean distance, whatever the router: the Mahalanobis
    distance takes defects for other products. At a rate of 0.01 it rejected 12 to 35 % of the default
    products' synthetic defects, the Euclidean one 0 to 13 %; of held-out images of unknown products
    100 % against 92 to 100 %.
    """
    count = len(embedded)
    offset = (embedded - embedded.mean(0)).double() * count / (count - 1)  # e − mean of the others
    return offset.square().sum(1)


def known_p_values(held_out: np.ndarray, strangeness: np.ndarray) -> np.ndarray:
    """How likely a product's own image is at least so strange; small for what is no such product.

    As long as one of the product's own images is as strange, the share of these, as `calibration.p_values`
    counts it. Beyond them all the share cannot fall below 1/(n + 1), which 20 or 60 images would leave above
    any useful `reject_rate`: there the tail of Student's predictive distribution of the logarithm goes on. The
    images are compared with a center that saw n − 1 others, a new one with that of all n, and the tail is a
    model: "about" is all that can be said of the rate.

    Args:
        held_out: `held_out_strangeness` of the product's training images, (n,).
        strangeness: squared Euclidean distances to its center, (N,).

    Returns:
        (N,), in (0, 1]; never below 1/(n + 1) for fewer than `TAIL_IMAGES`, which say too little of a spread.

    Source: Geisser, "Predictive Inference", 1993, chapter 2, for the predictive distribution of a normal sample.
    """
    p = p_values(held_out, strangeness)
    if len(held_out) < TAIL_IMAGES:
        return p
    logs = np.log(np.maximum(held_out, 1e-9 * held_out.max()))  # an image may lie at the center
    spread = logs.std(ddof=1) * math.sqrt(1 + 1 / len(logs))
    beyond = strangeness > held_out.max()
    t = (np.log(strangeness[beyond]) - logs.mean()) / max(spread, 1e-6)
    p[beyond] = np.minimum(p[beyond], stdtr(len(logs) - 1, -t))
    return p


def nearest_by_task(distances: Float[Tensor, "N K"], known: list[int]) -> Tensor:
    """Where each image goes after each task.

    Args:
        distances: to the prototypes in order of arrival, (N, K).
        known: how many prototypes are known after each task, (T,).

    Returns:
        Index of the nearest among the known prototypes, (N, T), int64; ties go to the earliest.
    """
    return torch.stack([distances[:, :count].argmin(1) for count in known], dim=1)


def misrouted_rows(chosen: dict[str, np.ndarray], product: str) -> dict[str, np.ndarray]:
    """Which test images of other products a product's prototype attracts after any task.

    Args:
        chosen: per product, in order of arrival, where each of its images goes after each task since then, (N, T).
        product: the product that attracts.

    Returns:
        Per other product the rows of these images, where there are any.
    """
    number = list(chosen).index(product)
    rows = {name: np.flatnonzero((its == number).any(1)) for name, its in chosen.items() if name != product}
    return {name: each for name, each in rows.items() if len(each)}


def can_reject(training_images: int, reject_rate: float) -> bool:
    """Whether p-values of a product with so many training images can fall to `reject_rate`."""
    return training_images >= TAIL_IMAGES or 1 / (training_images + 1) <= reject_rate + ROUNDING


def rejected(known: np.ndarray, reject_rate: float) -> np.ndarray:
    """Which images show no known product: their p-value is at most `reject_rate` for each of them.

    About that share of a known product's images is rejected, or fewer, whatever the other products are;
    how close it comes depends on the product's images (`known_p_values`).

    Args:
        known: `known_p_values` for every known prototype, (N, K).
        reject_rate: tolerated share of rejected images of known products; 0 rejects none.

    Returns:
        (N,), bool.
    """
    strange: np.ndarray = (known.max(1) <= reject_rate + ROUNDING) & (reject_rate > 0)
    return strange
