"""The code of sines and cosines, and none."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.config.errors import MoleflowError


class NoPosition(nn.Module):
    """Every patch is modeled alike wherever it is."""

    def __init__(self, channels: int) -> None:
        """Creates no code.

        Args:
            channels: not used.
        """
        super().__init__()

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Leaves patch features as they are.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            `x`.
        """
        return x


class SinCos(nn.Module):
    """x + code; half of the code's channels tell the column, half the row.

    It is made once for a grid and kept beside the parameters; no file holds it.
    Source: docs/method.md, Position code.
    """

    def __init__(self, channels: int) -> None:
        """Makes no code yet: only the first patches tell the grid.

        Args:
            channels: C, channels of a patch feature, a multiple of 4.

        Raises:
            MoleflowError: `channels` is not a multiple of 4.
        """
        super().__init__()
        if channels % 4:
            raise MoleflowError(
                f"position: sines and cosines need a multiple of 4 channels; embed_dim and flow_layers give {channels}"
            )
        self.code: Tensor
        self.register_buffer("code", torch.empty(0, 0, 0), persistent=False)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Adds the code of every patch's place.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            Patch features with their code, (B, H, W, C).
        """
        return x + self.code_for(x)

    def code_for(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "H W C"]:
        """The code of a grid.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            The code, (H, W, C), in [-1, 1].
        """
        if self.code.shape != x.shape[1:]:
            self.code = sincos(*x.shape[1:]).to(x.device)
        return self.code


def sincos(height: int, width: int, channels: int) -> Float[Tensor, "H W C"]:
    """Sines and cosines, half of the channels for the column, half for the row.

    Args:
        height: rows of the grid, in patches.
        width: columns of the grid, in patches.
        channels: channels of a patch feature, a multiple of 4.

    Returns:
        The code, (H, W, C), in [-1, 1].

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.5, base 10 000, per axis.
    """
    frequencies = 10_000.0 ** (-torch.arange(0, channels // 2, 2) / (channels // 2))  # (C/4,)
    column = _waves(width, frequencies)[None, :].expand(height, -1, -1)  # (H, W, C/2)
    row = _waves(height, frequencies)[:, None].expand(-1, width, -1)  # (H, W, C/2)
    return torch.cat([column, row], dim=-1)


def _waves(length: int, frequencies: Tensor) -> Tensor:
    angles = torch.arange(length)[:, None] * frequencies  # (L, C/4)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (L, C/2)
