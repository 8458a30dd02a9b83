"""Alignments by a bounded gain and shift of every channel."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.flow.alignments.alignment import Alignment, departure_of


class _Bounded(Alignment):
    """γ = 0.5 + 1.5·σ(g) in (0.5, 2) and β = 2·tanh(b) in (−2, 2); b starts at 0."""

    def __init__(self, channels: int, gain: float) -> None:
        """Creates g, all alike, and b."""
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels,), gain))
        self.shift = nn.Parameter(torch.zeros(channels))

    def departure(self) -> Float[Tensor, ""]:
        """See `Alignment`.

        Returns:
            0.1·(mean((γ−1)²) + mean(β²)).
        """
        return departure_of(self._gain(), 2 * self.shift.tanh())

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            alignment_gain: γ of every channel.
        """
        return {"alignment_gain": self._gain()}

    def _gain(self) -> Tensor:
        return 0.5 + 1.5 * self.gain.sigmoid()


class Affine(_Bounded):
    """γ⊙x + β with bounded γ in (0.5, 2) and β in (−2, 2), starting as the identity; log_det = Σ log γ.

    For features that are whitened already: their norm tells what is unusual, and a LayerNorm
    would take it away. Source: docs/method.md, Alignment; docs/tried.md, where leaving the LayerNorm out
    brings 1.5 points of image AUROC and 6 of pixel AP on the probe; the bounds are those of `LayerNorm`.
    """

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the alignment; it starts alike in every task.

        Args:
            channels: C, channels of a patch feature.
            first: not used.
        """
        super().__init__(channels, -math.log(2))

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Aligns patch features.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            γ⊙x + β, (B, H, W, C), and Σ log γ, in nats.
        """
        gain = self._gain()
        return gain * x + 2 * self.shift.tanh(), gain.log().sum()


class LayerNorm(_Bounded):
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
        super().__init__(channels, -0.7 if first else 0.0)

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Aligns patch features.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            γ⊙LayerNorm(x) + β, (B, H, W, C), and a log_det of 0.
        """
        normed = F.layer_norm(x, x.shape[-1:])
        return self._gain() * normed + 2 * self.shift.tanh(), x.new_zeros(())
