"""One Gaussian for every position of a patch: how a product's normal patches vary at their place."""

import math
import sys
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.compute.device import in_double
from moleflow.features.image_features import ImageFeatures
from moleflow.files.feature_store import READ_AT_ONCE

SPARE, ITERATIONS = 8, 4  # directions beside those that are wanted, and products with the covariance, in the search
RIDGE = 0.1  # added to every variance; standardized channels vary by 1 over all positions


def announce_covariances(owner: str, shape: tuple[int, ...], memory: float, tables: int = 1) -> None:
    """Says before it begins that covariances of all positions take more memory than features may.

    Args:
        owner: what holds them.
        shape: of an image's patch features, (H, W, C).
        memory: GiB of features that are held at once, `feature_memory`.
        tables: how many of them it holds at once; two where images are taken off (`PositionMoments.without`).
    """
    height, width, channels = shape
    held = tables * 4 * height * width * channels**2 / 2**30
    if held > memory:
        print(
            f"{owner} holds {held:.2g} GiB for a product, {'two covariances' if tables == 2 else 'a covariance'} of "
            f"{channels}×{channels} for each of "
            f"{height}×{width} patches: more than feature_memory: {memory:g}; a smaller grid or embed_dim takes less",
            file=sys.stderr,
        )


class PositionMoments:
    """Sums over images, position by position, from which means and covariances follow."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        """Starts with no image.

        Args:
            shape: of an image's patch features, (H, W, C).
            device: where they lie.
        """
        self.count = 0
        self.total = torch.zeros(shape, device=device)
        self.products = torch.zeros(*shape, shape[-1], device=device)

    @classmethod
    def of(cls, features: ImageFeatures) -> "PositionMoments":
        """Sums over all images, a few at a time.

        Args:
            features: patch features, (N, H, W, C).

        Returns:
            The moments.
        """
        moments = cls(features.shape[1:], features.device)
        for start in range(0, features.shape[0], READ_AT_ONCE):
            moments.add(features[start : start + READ_AT_ONCE])
        return moments

    def add(self, features: Float[Tensor, "N H W C"]) -> None:
        """Adds images.

        Args:
            features: their patch features, (N, H, W, C).
        """
        self.count += len(features)
        for row, patches in enumerate(features.float().permute(1, 2, 0, 3)):  # (W, N, C), a row at a time
            self.total[row] += patches.sum(1)
            self.products[row].baddbmm_(patches.transpose(1, 2), patches)

    def without(self, others: "PositionMoments") -> "PositionMoments":
        """The moments of the images that are not among others.

        Args:
            others: moments of some of the images; they are overwritten, since nothing is as large as their products.

        Returns:
            Moments of the rest.
        """
        others.count = self.count - others.count
        torch.sub(self.total, others.total, out=others.total)
        torch.sub(self.products, others.products, out=others.products)
        return others

    @property
    def mean(self) -> Float[Tensor, "H W C"]:
        """Mean patch of every position, (H, W, C)."""
        return self.total / self.count

    def covariance(self, row: int) -> Float[Tensor, "W C C"]:
        """Covariance of every position of a row.

        Args:
            row: the row.

        Returns:
            Covariances, (W, C, C).
        """
        mean = self.mean[row]
        outer = mean[:, :, None] * mean[:, None]
        return (self.products[row] - self.count * outer) / max(1, self.count - 1)


class PositionGaussians:
    """Mahalanobis distance of a patch under the Gaussian of its position, with a covariance of low rank.

    d² = (‖u‖² − ‖Vᵀu‖²)/(ρ + 0.1) + Σ_k (v_kᵀu)²/(λ_k + 0.1), u = x − μ: λ_k and v_k are the largest variances of a
    position and their directions, ρ is the mean of the others; 0.1 is `RIDGE`. It is kept as d² = a·‖u‖² − ‖Wᵀu‖².

    Source: Defard et al., "PaDiM", ICPR 2020, sections III-B and III-C, for a Gaussian per position; Tipping and
    Bishop, "Probabilistic Principal Component Analysis", 1999, for a covariance of low rank and equal rest.
    """

    def __init__(
        self,
        mean: Float[Tensor, "H W C"],
        scale: Float[Tensor, "H W"],
        directions: Float[Tensor, "H W C R"],
    ) -> None:
        """Keeps what describes the Gaussians.

        Args:
            mean: μ of every position, (H, W, C).
            scale: a, (H, W).
            directions: W, (H, W, C, R).
        """
        self.mean, self.scale, self.directions = mean, scale, directions

    @classmethod
    def of(cls, moments: PositionMoments, rank: int) -> "PositionGaussians":
        """Makes the Gaussians of images.

        Args:
            moments: of the images.
            rank: R, directions kept of every covariance; all if there are fewer channels.

        Returns:
            The Gaussians; mean and directions are fp16.
        """
        height, width, channels = moments.total.shape
        rank = min(rank, channels - 1)
        scale = moments.total.new_empty(height, width)
        directions = moments.total.new_empty(height, width, channels, rank, dtype=torch.float16)
        for row in range(height):
            covariance = moments.covariance(row).to(in_double(scale.device))  # mps finds no eigenvectors
            variances, vectors = (found.to(scale.device) for found in _widest(covariance, rank))
            whole = covariance.diagonal(dim1=1, dim2=2).sum(1).to(scale.device)
            scale[row] = 1 / ((whole - variances.sum(1)).clamp_min(0) / (channels - rank) + RIDGE)
            less = scale[row][:, None] - 1 / (variances + RIDGE)
            directions[row] = (vectors * less.clamp_min(0).sqrt()[:, None]).half()
        return cls(moments.mean.half(), scale, directions)

    def tensors(self) -> dict[str, Tensor]:
        """What a file holds of them, by name of the argument."""
        return {"mean": self.mean, "scale": self.scale, "directions": self.directions}

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """Distance of every patch to the mean of its position, in standard deviations.

        Args:
            features: standardized patch features, (N, H, W, C).

        Returns:
            Distances, (N, H, W).
        """
        positions = self.mean.flatten(0, 1).float()
        offset = features.flatten(1, 2).transpose(0, 1).float() - positions[:, None]  # (H·W, N, C)
        along = torch.bmm(offset, self.directions.flatten(0, 1).float()).square().sum(2)
        squared = self.scale.flatten()[:, None] * offset.square().sum(2) - along
        return squared.clamp_min(0).sqrt().T.reshape(features.shape[:3])

    @cached_property
    def log_volume(self) -> Float[Tensor, "H W"]:
        """Half of the covariances' log-determinants, (H, W), in nats: 1/(λ_k + 0.1) is a − ‖W_k‖²."""
        widest = self.scale[..., None] - self.directions.float().square().sum(2)
        narrow = widest.clamp_min(1e-6).log().sum(2)
        return -0.5 * (narrow + (self.directions.shape[2] - self.directions.shape[3]) * self.scale.log())

    def nll(self, distances: Float[Tensor, "N H W"]) -> Float[Tensor, "N H W"]:
        """Negative log-likelihood of patches.

        Args:
            distances: of the patches, see `distances`, (N, H, W).

        Returns:
            ½d² + ½·log|Σ| + (C/2)·log 2π, (N, H, W), in nats.
        """
        return 0.5 * distances.square() + self.log_volume + 0.5 * self.mean.shape[-1] * math.log(2 * math.pi)


def _widest(covariances: Float[Tensor, "B C C"], rank: int) -> tuple[Float[Tensor, "B R"], Float[Tensor, "B C R"]]:
    """The largest variances and their directions, by subspace iteration: a fraction of what all of them cost.

    Source: Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithm 4.4.
    """
    channels = covariances.shape[1]
    start = torch.randn(channels, min(channels, rank + SPARE), generator=torch.Generator().manual_seed(0))
    basis = start.to(covariances).expand(len(covariances), -1, -1)
    for _ in range(ITERATIONS):
        basis, _ = torch.linalg.qr(torch.bmm(covariances, basis))
    within = torch.bmm(basis.transpose(1, 2), torch.bmm(covariances, basis))
    variances, vectors = torch.linalg.eigh((within + within.transpose(1, 2)) / 2)  # ascending
    first = basis.shape[2] - rank
    return variances[:, first:].clamp_min(0), torch.bmm(basis, vectors[:, :, first:])
