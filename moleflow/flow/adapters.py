"""Alignment adapters: each product's own entrance to the shared flow.

An adapter maps patch features (B, H, W, C) to (B, H, W, C), and says by how many nats every patch's
log-determinant grows; 0 for what is no density transform.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class NoAlignment(nn.Module):
    """Features enter the flow as they are."""

    def __init__(self, channels: int, first: bool) -> None:
        super().__init__()

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Returns `x`."""
        return x, x.new_zeros(())


class Affine(nn.Module):
    """γ⊙x + β with bounded γ in (0.5, 2) and β in (−2, 2), starting as the identity; log_det = Σ log γ.

    For features that are whitened already: their norm is what tells the unusual, and a LayerNorm
    would take it away. Source: docs/quality.md, where leaving the LayerNorm out brings 1.5 points of image
    AUROC and 6 of pixel AP on the probe; the bounds are those of `Whitening`.
    """

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the adapter; it starts alike in every task."""
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels,), -math.log(2)))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Aligns patch features, (B, H, W, C)."""
        gain = 0.5 + 1.5 * self.gain.sigmoid()
        return gain * x + 2 * self.shift.tanh(), gain.log().sum()


class Whitening(nn.Module):
    """LayerNorm over channels without affine, then γ⊙x + β with bounded γ and β.

    γ = 0.5 + 1.5·σ(g), β = 2·tanh(b). The first task starts at γ ≈ 1 (g = −0.7), later ones at
    g = 0. LayerNorm is no density transform, so it adds no log_det: likelihoods are compared within a
    product only. Source: update notes, V3-1, where leaving it out costs 2 to 9 points.
    """

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the adapter.

        Args:
            channels: channels of a patch feature.
            first: whether its product belongs to the first task.
        """
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels,), -0.7 if first else 0.0))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Aligns patch features, (B, H, W, C)."""
        normed = F.layer_norm(x, x.shape[-1:])
        return (0.5 + 1.5 * self.gain.sigmoid()) * normed + 2 * self.shift.tanh(), x.new_zeros(())


ALIGNMENTS: dict[str, type[NoAlignment] | type[Affine] | type[Whitening]] = {
    "none": NoAlignment,
    "affine": Affine,
    "whitening": Whitening,
}
