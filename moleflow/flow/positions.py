"""Position codes: they tell the flow where on the grid a patch is."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.config.errors import MoleflowError


def no_position(height: int, width: int, channels: int) -> Float[Tensor, "H W C"]:
    """Zeros: every patch is modeled alike wherever it is.

    Args:
        height: rows of the grid, in patches.
        width: columns of the grid, in patches.
        channels: channels of a patch feature.

    Returns:
        The code, (H, W, C).
    """
    return torch.zeros(height, width, channels)


def sincos(height: int, width: int, channels: int) -> Float[Tensor, "H W C"]:
    """Sines and cosines, half of the channels for the column, half for the row.

    Args:
        height: rows of the grid, in patches.
        width: columns of the grid, in patches.
        channels: channels of a patch feature, a multiple of 4.

    Returns:
        The code, (H, W, C), in [-1, 1].

    Raises:
        MoleflowError: `channels` is not a multiple of 4.

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.5, base 10 000, per axis.
    """
    if channels % 4:
        raise MoleflowError(
            f"position: sincos needs a multiple of 4 channels; embed_dim and flow_layers give {channels}"
        )
    frequencies = 10_000.0 ** (-torch.arange(0, channels // 2, 2) / (channels // 2))  # (C/4,)
    column = _waves(width, frequencies)[None, :].expand(height, -1, -1)  # (H, W, C/2)
    row = _waves(height, frequencies)[:, None].expand(-1, width, -1)  # (H, W, C/2)
    return torch.cat([column, row], dim=-1)


def _waves(length: int, frequencies: Tensor) -> Tensor:
    angles = torch.arange(length)[:, None] * frequencies  # (L, C/4)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (L, C/2)


POSITIONS: dict[str, Callable[[int, int, int], Tensor]] = {"none": no_position, "sincos": sincos}


class PositionCode(nn.Module):
    """Adds a position code, which is made once for a grid and kept beside the parameters; no file holds it."""

    def __init__(self, code_of: Callable[[int, int, int], Tensor]) -> None:
        """Makes no code yet: only the first patches tell the grid.

        Args:
            code_of: a member of `POSITIONS`.
        """
        super().__init__()
        self.code_of = code_of
        self.code: Tensor
        self.register_buffer("code", torch.empty(0, 0, 0), persistent=False)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Adds the code of every patch's place.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            Patch features with their code, (B, H, W, C).

        Raises:
            MoleflowError: the code does not suit the number of channels.
        """
        if self.code.shape != x.shape[1:]:
            self.code = self.code_of(*x.shape[1:]).to(x.device)
        return x + self.code
