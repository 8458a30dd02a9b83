"""Regions: where in an image a product looks how, for the router that compares images part by part."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Regions:
    """A product's mean training image, region by region, and how far its own images lie.

    Attributes:
        centers: mean of each of R×R regions, row by row, (R², D), of the deepest layer's channels.
        typical_mahalanobis, typical_regional: medians of both distances over its calibration images.
    """

    centers: list[list[float]]
    typical_mahalanobis: float
    typical_regional: float

    @classmethod
    def of(
        cls,
        training: Iterable[Float[Tensor, "N E"]],
        calibration: Float[Tensor, "M E"],
        mahalanobis: Callable[[Float[Tensor, "M E"]], Float[Tensor, " M"]],
        *,
        side: int,
        channels: int,
    ) -> "Regions":
        """Learns the regions of a product.

        Args:
            training: what `with_regions` gives of its training images, part by part.
            calibration: the same of its calibration images; distances of images learned from would be too small.
            mahalanobis: squared Mahalanobis distances of such images to the product.
            side: R, regions along a side.
            channels: D, of the deepest layer.

        Returns:
            The regions.
        """
        parts = [parted(part, side, channels).double() for part in training]
        centers = torch.cat(parts).mean(0)
        typical = mahalanobis(calibration).sqrt().median(), regional_distances(calibration, centers[None]).median()
        return cls(centers.float().tolist(), *(max(float(each), 1e-9) for each in typical))

    @property
    def side(self) -> int:
        """R, regions along a side."""
        return isqrt(len(self.centers))


def with_regions(
    features: Float[Tensor, "N H W C"], embedded: Float[Tensor, "N C"], *, side: int, channels: int
) -> Float[Tensor, "N E"]:
    """Puts the means of an image's regions before its embedding.

    Args:
        features: patch features, (N, H, W, C).
        embedded: the router's embeddings of the same images, (N, C).
        side: R, regions along a side.
        channels: D, of the deepest layer, the last ones of a patch feature.

    Returns:
        (N, R²·D + C), on the embeddings' device.
    """
    deepest = features[..., -channels:].permute(0, 3, 1, 2).float()
    means = F.adaptive_avg_pool2d(deepest, side).flatten(2).transpose(1, 2)  # (N, R², D)
    return torch.cat([means.flatten(1).to(embedded.device), embedded], dim=1)


def parted(embedded: Float[Tensor, "N E"], side: int, channels: int) -> Float[Tensor, "N R D"]:
    """The means of the regions again.

    Args:
        embedded: from `with_regions`.
        side: R, regions along a side.
        channels: D, of the deepest layer.

    Returns:
        (N, R², D).
    """
    return embedded[:, : side**2 * channels].unflatten(1, (side**2, channels))


def regional_distances(embedded: Float[Tensor, "N E"], centers: Float[Tensor, "K R D"]) -> Float[Tensor, "N K"]:
    """Mean over the regions of the Euclidean distance to the product's region.

    Args:
        embedded: from `with_regions`.
        centers: of the regions of K products, (K, R², D), float64.

    Returns:
        (N, K), float64.
    """
    means = parted(embedded, isqrt(centers.shape[1]), centers.shape[2]).double()
    return torch.stack([(means - product).norm(dim=2).mean(1) for product in centers], dim=1)
