"""Routers: how far is an image from a product's prototype? The nearest one is chosen."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from moleflow.features.neighbors import NEIGHBORS
from moleflow.features.prototype import Prototype
from moleflow.routing.regions import Regions, regional_distances

NUMBERS = 2**21  # images × products × channels, or × training images, at once: 16 MiB of double precision
LEAST_VARIANCE = 1e-12


class Distances(ABC):
    """Distances of images to K known products at once; a member is made from the products' prototypes.

    Attributes:
        candidates: how many of the nearest products an image is judged as; the first one is chosen if it is 1.
    """

    candidates = 1

    def __init__(self, prototypes: list[Prototype]) -> None:
        """Brings the products together.

        Args:
            prototypes: of the K products, in order of arrival.
        """
        self.centers = torch.stack([prototype.gaussian.center for prototype in prototypes])  # (K, D)
        self.channels = self.centers.shape[1]  # the last ones of an embedding that count: the deepest layer's

    def __call__(self, embedded: Float[Tensor, "N C"], own: int | None) -> Float[Tensor, "N K"]:
        """Distances of images to every product.

        Args:
            embedded: embeddings of N images.
            own: number of the product that they show; None if it is not known. Only the oracle uses it.

        Returns:
            (N, K), float64.
        """
        at_once = max(1, NUMBERS // self._numbers)
        return torch.cat([self._of(part, own) for part in embedded[:, -self.channels :].split(at_once)])

    @property
    def _numbers(self) -> int:
        """How many numbers an image takes."""
        return self.centers.numel()

    @abstractmethod
    def _of(self, embedded: Tensor, own: int | None) -> Tensor: ...

    def _offset(self, embedded: Tensor) -> Tensor:
        """e − center, (N, K, D), float64."""
        return (embedded[:, None] - self.centers).double()


class Neighbors(Distances):
    """Mean Euclidean distance to the nearest training images, by one matrix product for all products.

    Source: docs/method.md, Routers; `moleflow.features.neighbors.neighbor_distances` is the same for one product.
    """

    def __init__(self, prototypes: list[Prototype], whole: bool = False) -> None:
        """Brings the products together.

        Args:
            prototypes: of the K products, in order of arrival.
            whole: compare the channels of all layers, as rejection does, instead of the deepest layer's.
        """
        super().__init__(prototypes)
        if whole:
            self.channels = prototypes[0].images.shape[1]
        every = torch.cat([prototype.images[:, -self.channels :] for prototype in prototypes]).double()
        self.origin = every.mean(0)  # squares of what is centered round less
        self.images = every - self.origin
        self.squares = self.images.square().sum(1)
        counts = [len(prototype.images) for prototype in prototypes]
        places = torch.arange(max(counts)).expand(len(counts), -1)
        self.absent = places >= torch.tensor(counts)[:, None]  # products have different numbers of images
        starts = torch.tensor([0, *counts[:-1]]).cumsum(0)
        self.rows = (starts[:, None] + places).masked_fill(self.absent, 0)

    @property
    def _numbers(self) -> int:
        return self.rows.numel()

    def _of(self, embedded: Tensor, own: int | None) -> Tensor:
        offset = embedded.double() - self.origin
        squared = torch.addmm(self.squares, offset, self.images.T, alpha=-2) + offset.square().sum(1, keepdim=True)
        by_product = squared.clamp_min(0).sqrt()[:, self.rows].masked_fill(self.absent, torch.inf)
        nearest = by_product.topk(min(NEIGHBORS, by_product.shape[2]), largest=False).values
        there = nearest.isfinite()
        return nearest.where(there, 0).sum(2) / there.sum(2)


class Mahalanobis(Distances):
    """Squared Mahalanobis distance under the shrunk low-rank covariance.

    d² = Σ_i (u_i·v)²/λ_i + (‖v‖² − Σ_i (u_i·v)²)/floor for v = e − center.

    Source: docs/method.md, Routers.
    """

    def __init__(self, prototypes: list[Prototype]) -> None:
        """Brings the products together.

        Args:
            prototypes: of the K products, in order of arrival.
        """
        super().__init__(prototypes)
        gaussians = [prototype.gaussian for prototype in prototypes]
        rank, channels = max(len(gaussian.variances) for gaussian in gaussians), self.centers.shape[1]
        self.directions = torch.zeros(len(gaussians), channels, rank, dtype=torch.float64)  # zeros where a rank is less
        self.variances = torch.ones(len(gaussians), rank, dtype=torch.float64)
        for number, gaussian in enumerate(gaussians):
            own = len(gaussian.variances)
            self.directions[number, :, :own] = gaussian.directions.T
            self.variances[number, :own] = gaussian.variances
        # Images on one even ground may have one embedding: all others are far from them, themselves they are not.
        self.variances.clamp_min_(LEAST_VARIANCE)
        self.floors = torch.stack([gaussian.floor for gaussian in gaussians]).double().clamp_min(LEAST_VARIANCE)

    def _of(self, embedded: Tensor, own: int | None) -> Tensor:
        offset = self._offset(embedded)
        along = (offset.transpose(0, 1) @ self.directions).square().transpose(0, 1)  # (N, K, r)
        rest = (offset.square().sum(2) - along.sum(2)).clamp_min(0)
        return (along / self.variances).sum(2) + rest / self.floors


class Euclidean(Distances):
    """Squared Euclidean distance ‖e − center‖² to the center of the product's embeddings."""

    def _of(self, embedded: Tensor, own: int | None) -> Tensor:
        return self._offset(embedded).square().sum(2)


class Regional(Mahalanobis):
    """0.7·Mahalanobis + 0.3·mean Euclidean distance of R×R regions, each in units of the product's own images.

    Source: docs/method.md, Routers.
    """

    def __init__(self, prototypes: list[Prototype], *, regions: list[Regions]) -> None:
        """Brings the products together.

        Args:
            prototypes: of the K products, in order of arrival.
            regions: likewise.
        """
        super().__init__(prototypes)
        self.of_regions = torch.tensor([each.centers for each in regions], dtype=torch.float64)  # (K, R², D)
        self.typical = torch.tensor([[each.typical_mahalanobis, each.typical_regional] for each in regions]).double().T
        self.channels = self.of_regions[0].numel() + prototypes[0].images.shape[1]  # all of `with_regions`

    def _of(self, embedded: Tensor, own: int | None) -> Tensor:
        mahalanobis = super()._of(embedded[:, -self.centers.shape[1] :], own).sqrt()
        regional = regional_distances(embedded, self.of_regions)
        return 0.7 * mahalanobis / self.typical[0] + 0.3 * regional / self.typical[1]


class TwoStage(Neighbors):
    """The nearest products by `Neighbors` are candidates; their experts decide (`moleflow.scoring.candidates`)."""

    def __init__(self, prototypes: list[Prototype], *, router_candidates: int) -> None:
        """Brings the products together.

        Args:
            prototypes: of the K products, in order of arrival.
            router_candidates: how many of them judge an image.
        """
        super().__init__(prototypes)
        self.candidates = router_candidates


class Oracle(Distances):
    """A router that is given the product: 0 for it, 1 for any other."""

    def _of(self, embedded: Tensor, own: int | None) -> Tensor:
        distances = torch.ones(len(embedded), len(self.centers), dtype=torch.float64)
        if own is not None:
            distances[:, own] = 0
        return distances


ROUTERS: dict[str, type[Distances]] = {
    "neighbors": Neighbors,
    "mahalanobis": Mahalanobis,
    "euclidean": Euclidean,
    "regional": Regional,
    "two_stage": TwoStage,
    "oracle": Oracle,
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


def candidates_by_task(distances: Float[Tensor, "N K"], known: list[int], count: int) -> Tensor:
    """Candidates for each image after each task.

    Args:
        distances: to the prototypes in order of arrival, (N, K).
        known: how many prototypes are known after each task, (T,).
        count: how many candidates.

    Returns:
        Indices of the nearest among the known prototypes, the nearest first, (N, T, count), int64; ties go to the
        earliest, and −1 stands where fewer are known.
    """
    nearest = [distances[:, :few].sort(dim=1, stable=True).indices[:, :count] for few in known]
    return torch.stack([F.pad(each, (0, count - each.shape[1]), value=-1) for each in nearest], dim=1)


def misrouted_rows(chosen: dict[str, np.ndarray], product: str) -> dict[str, np.ndarray]:
    """Test images of other products that are misrouted to a product after any task, or that it is a candidate for.

    Args:
        chosen: per product, in order of arrival, index of the product chosen for each of its images after each task
            since then, (N, T), or of all candidates, (N, T, K).
        product: the product that they are routed to.

    Returns:
        Rows of these images by their own product, (n,), where there are any.
    """
    number = list(chosen).index(product)
    rows = {
        other: np.flatnonzero((routed == number).reshape(len(routed), -1).any(1))
        for other, routed in chosen.items()
        if other != product
    }
    return {other: misrouted for other, misrouted in rows.items() if len(misrouted)}
