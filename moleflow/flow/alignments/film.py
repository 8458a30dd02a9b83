"""Alignments by an unbounded gain and shift and a small network, after a norm over channels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.flow.alignments.alignment import Alignment, departure_of

LEAST_HIDDEN = 128
FIRST_SHARE = 0.1  # of what the alignment changes, in the first task


class _Residual(Alignment):
    """v = γ⊙u + β, y = v + σ(g)·MLP(v); the first task takes 0.9·x + 0.1·y. u is the subclass's norm of x."""

    def __init__(self, channels: int, first: bool) -> None:
        """Creates γ = 1, β = 0, g = 0.5 and the network, whose last layer starts near zero."""
        super().__init__()
        hidden = max(channels // 2, LEAST_HIDDEN)
        self.share = FIRST_SHARE if first else 1.0
        self.gain = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.gate = nn.Parameter(torch.tensor(0.5))
        last = nn.Linear(hidden, channels)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), last)

    def forward(self, x: Float[Tensor, "B H W C"]) -> tuple[Float[Tensor, "B H W C"], Float[Tensor, ""]]:
        """Aligns patch features.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            The aligned features, (B, H, W, C), and a log_det of 0.
        """
        moved = self.gain * self._normed(x) + self.shift
        aligned = moved + self.gate.sigmoid() * self.network(moved).to(x.dtype)
        return torch.lerp(x, aligned, self.share), x.new_zeros(())

    def departure(self) -> Float[Tensor, ""]:
        """See `Alignment`.

        Returns:
            0.1·(mean((γ−1)²) + mean(β²)).
        """
        return departure_of(self.gain, self.shift)

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            alignment_gain: γ of every channel; alignment_gate: σ(g).
        """
        return {"alignment_gain": self.gain, "alignment_gate": self.gate.sigmoid()}

    def _normed(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class FiLM(_Residual):
    """LayerNorm with a learned gain and shift, γ and β after it, and a network beside them.

    It is no density transform and adds no log_det. Source: docs/method.md, Alignment.
    """

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the alignment.

        Args:
            channels: C, channels of a patch feature.
            first: whether its product belongs to the first task.
        """
        super().__init__(channels, first)
        self.norm = nn.LayerNorm(channels)

    def _normed(self, x: Tensor) -> Tensor:
        return self.norm(x)


class SoftNorm(_Residual):
    """b·LayerNorm(x) + (1−b)·x, with b in [0, 1] learned by the first task from 0.01 and 0 in later ones.

    Then as `FiLM`. b is clipped in value alone: a clipped gradient would never bring it back from below 0.
    Source: docs/method.md, Alignment.
    """

    def __init__(self, channels: int, first: bool) -> None:
        """Creates the alignment.

        Args:
            channels: C, channels of a patch feature.
            first: whether its product belongs to the first task.
        """
        super().__init__(channels, first)
        self.blend = nn.Parameter(torch.tensor(0.01)) if first else None

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            What `FiLM` reports; alignment_norm: b.
        """
        norm = x.new_zeros(()) if self.blend is None else self.blend.clamp(0, 1)
        return {**super().reported(x), "alignment_norm": norm}

    def _normed(self, x: Tensor) -> Tensor:
        if self.blend is None:
            return x
        blend = self.blend + (self.blend.clamp(0, 1) - self.blend).detach()
        return torch.lerp(x, F.layer_norm(x, x.shape[-1:]), blend)
