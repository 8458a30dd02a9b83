"""Codes of what a patch looks like, beside where it is."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.flow.positions.sincos import SinCos

PROTOTYPES = 16
TEMPERATURE = 0.1


class ContentCode(nn.Module):
    """A code made of a patch's likeness to 16 learned prototypes."""

    def __init__(self, channels: int) -> None:
        """Creates prototypes and network.

        Args:
            channels: C, channels of a patch feature.
        """
        super().__init__()
        self.prototypes = nn.Parameter(0.02 * torch.randn(PROTOTYPES, channels))
        first, last = nn.Linear(PROTOTYPES, channels // 2), nn.Linear(channels // 2, channels)
        for layer in (first, last):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.network = nn.Sequential(first, nn.LayerNorm(channels // 2), nn.GELU(), last)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Computes the code of every patch.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            The code, (B, H, W, C).
        """
        likeness = F.normalize(x, dim=-1) @ F.normalize(self.prototypes, dim=-1).mT  # cosines, (B, H, W, 16)
        return self.network((likeness / TEMPERATURE).softmax(-1))


class _BothCodes(SinCos):
    """x + a·content code + (1−a)·code; a subclass says what a is."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.content = ContentCode(channels)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Adds both codes.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            Patch features with their codes, (B, H, W, C).
        """
        share = self._share(x)
        return x + share * self.content(x) + (1 - share) * self.code_for(x)

    def _share(self, x: Tensor) -> Tensor:
        """a, of all patches or of each, (B, H, W, 1)."""
        raise NotImplementedError


class ContentPosition(_BothCodes):
    """x + σ(g)·content code + (1−σ(g))·code, with g starting at 0.3.

    x + f(x) need not be one-to-one, and no log_det is counted. Source: docs/method.md, Position code.
    """

    def __init__(self, channels: int) -> None:
        """Creates both codes.

        Args:
            channels: C, channels of a patch feature, a multiple of 4.

        Raises:
            MoleflowError: `channels` is not a multiple of 4.
        """
        super().__init__(channels)
        self.gate = nn.Parameter(torch.tensor(0.3))

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            content_share: σ(g).
        """
        return {"content_share": self._share(x)}

    def _share(self, x: Tensor) -> Tensor:
        return self.gate.sigmoid()


class HybridPosition(_BothCodes):
    """x + a(x)·content code + (1−a(x))·code, with a of every patch by a network; a starts at σ(−0.5).

    Source: docs/method.md, Position code.
    """

    def __init__(self, channels: int) -> None:
        """Creates both codes and the network that weighs them.

        Args:
            channels: C, channels of a patch feature, a multiple of 4.

        Raises:
            MoleflowError: `channels` is not a multiple of 4.
        """
        super().__init__(channels)
        last = nn.Linear(channels // 4, 1)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, -0.5)
        self.weighing = nn.Sequential(
            nn.Linear(channels, channels // 4), nn.LayerNorm(channels // 4), nn.GELU(), last, nn.Sigmoid()
        )

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            hybrid_share: a of every patch.
        """
        return {"hybrid_share": self._share(x)}

    def _share(self, x: Tensor) -> Tensor:
        return self.weighing(x)
