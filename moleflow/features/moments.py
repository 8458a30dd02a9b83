"""Mean and covariance of vectors that are seen a few at a time."""

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.compute.device import in_double


class Moments:
    """Sums in double precision, from which mean and covariance follow."""

    def __init__(self, channels: int, device: torch.device) -> None:
        """Starts with no vector.

        Args:
            channels: C, length of a vector.
            device: where the vectors lie; the sums are kept there too if it has double precision.
        """
        self.count = 0
        self.total = torch.zeros(channels, dtype=torch.float64, device=in_double(device))
        self.products = self.total.new_zeros(channels, channels)

    def add(self, vectors: Float[Tensor, "P C"]) -> None:
        """Adds vectors.

        Args:
            vectors: P of them, (P, C).
        """
        rows = vectors.to(self.total)
        self.count += len(rows)
        self.total += rows.sum(0)
        self.products.addmm_(rows.T, rows)

    def mean(self) -> Float[Tensor, " C"]:
        """Their mean, (C,), float64, on the processor."""
        return self.total.cpu() / self.count

    def covariance(self) -> Float[Tensor, "C C"]:
        """Their covariance, (C, C), float64, on the processor."""
        mean = self.mean()
        return (self.products.cpu() - self.count * mean.outer(mean)) / max(1, self.count - 1)
