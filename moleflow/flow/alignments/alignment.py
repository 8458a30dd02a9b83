"""What all alignments have in common, and the one that does nothing."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Alignment(nn.Module):
    """A product's own first step.

    `forward` maps patch features (B, H, W, C) to (B, H, W, C), and returns besides by how many nats every patch's
    log-determinant grows: 0 where it is not a density transform.
    """

    def departure(self) -> Float[Tensor, ""]:
        """How far γ and β are from those of the identity; what `identity_weight` weighs.

        Returns:
            0.1·(mean((γ−1)²) + mean(β²)), or 0 without γ and β.
        """
        return torch.zeros(())


def departure_of(gain: Float[Tensor, " C"], shift: Float[Tensor, " C"]) -> Float[Tensor, ""]:
    """How far γ and β are from those of the identity.

    Args:
        gain: γ, (C,).
        shift: β, (C,).

    Returns:
        0.1·(mean((γ−1)²) + mean(β²)).

    Source: docs/method.md, Alignment.
    """
    return 0.1 * ((gain - 1).square().mean() + shift.square().mean())


class NoAlignment(Alignment):
    """Features enter the flow as they are."""

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the alignment.

        Args:
            channels: not used.
            first: not used.
        """
        super().__init__()

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Leaves patch features as they are.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            `x`, and a log_det of 0.
        """
        return x, x.new_zeros(())
