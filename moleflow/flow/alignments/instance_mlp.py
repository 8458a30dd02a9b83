"""An alignment by the mean and contrast of the image."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.flow.alignments.alignment import Alignment

EPS = 1e-6


class InstanceMLP(Alignment):
    """u + g·MLP(u), where u has mean 0 and variance 1 in every channel of an image; the first task has no alignment.

    g starts at 1 and the last layer at zero: with both at zero, neither would ever learn. A defect that covers much of
    the image is normalized away. It adds no log_det. Source: docs/method.md, Alignment.
    """

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the alignment.

        Args:
            channels: C, channels of a patch feature.
            first: whether its product belongs to the first task.
        """
        super().__init__()
        self.network: nn.Sequential | None = None
        if not first:
            last = nn.Linear(channels // 4, channels)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.network = nn.Sequential(nn.Linear(channels, channels // 4), nn.GELU(), last)
            self.gate = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Aligns patch features.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            The aligned features, (B, H, W, C), and a log_det of 0.
        """
        if self.network is None:
            return x, x.new_zeros(())
        mean, variance = x.mean((1, 2), keepdim=True), x.var((1, 2), keepdim=True, correction=0)
        normed = (x - mean) / (variance + EPS).sqrt()
        return normed + self.gate * self.network(normed), x.new_zeros(())

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            alignment_gate: g; nothing in the first task.
        """
        return {} if self.network is None else {"alignment_gate": self.gate}
