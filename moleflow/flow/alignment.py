"""Alignments: each product's own first step, before the shared flow.

An alignment is made from the number of channels, whether its product belongs to the first task, and the keys of
params.yaml that it names as keyword-only arguments. It maps patch features (B, H, W, C) to (B, H, W, C), and returns
besides by how many nats every patch's log-determinant grows; 0 where it is not a density transform.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class NoAlignment(nn.Module):
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


class Affine(nn.Module):
    """γ⊙x + β with bounded γ in (0.5, 2) and β in (−2, 2), starting as the identity; log_det = Σ log γ.

    For features that are whitened already: their norm tells what is unusual, and a LayerNorm
    would take it away. Source: docs/method.md, Alignment; docs/quality.md, where leaving the LayerNorm out
    brings 1.5 points of image AUROC and 6 of pixel AP on the probe; the bounds are those of `LayerNorm`.
    """

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the alignment; it starts alike in every task.

        Args:
            channels: C, channels of a patch feature.
            first: not used.
        """
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels,), -math.log(2)))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Aligns patch features.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            γ⊙x + β, (B, H, W, C), and Σ log γ, in nats.
        """
        gain = 0.5 + 1.5 * self.gain.sigmoid()
        return gain * x + 2 * self.shift.tanh(), gain.log().sum()


class LayerNorm(nn.Module):
    """LayerNorm over channels without affine, then γ⊙x + β with bounded γ and β.

    γ = 0.5 + 1.5·σ(g), β = 2·tanh(b). The first task starts at γ ≈ 1 (g = −0.7), later ones at
    g = 0. LayerNorm is not a density transform, so it adds no log_det: likelihoods are compared within a
    product only. Source: docs/method.md, What the lab diary found: leaving it out cost 2 to 9 points.
    """

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the alignment.

        Args:
            channels: C, channels of a patch feature.
            first: whether its product belongs to the first task.
        """
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels,), -0.7 if first else 0.0))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Aligns patch features.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            γ⊙LayerNorm(x) + β, (B, H, W, C), and a log_det of 0.
        """
        normed = F.layer_norm(x, x.shape[-1:])
        return (0.5 + 1.5 * self.gain.sigmoid()) * normed + 2 * self.shift.tanh(), x.new_zeros(())


ALIGNMENTS: dict[str, type[nn.Module]] = {
    "none": NoAlignment,
    "affine": Affine,
    "layer_norm": LayerNorm,
}
