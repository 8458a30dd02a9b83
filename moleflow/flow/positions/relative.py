"""A code of the offsets between patches instead of their places."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.flow.positions.sincos import SinCos

HEADS = 4
FARTHEST = 7  # patches; larger offsets count as this


class RelativePosition(SinCos):
    """(1−σ(g))·(x + code) + σ(g)·(x + attention), where attention knows the offsets of patches; g starts at 0.3.

    4 heads over all patches of the image; the logits get a learned number per head and offset; the values are x itself.
    Source: docs/method.md, Position code.
    """

    def __init__(self, channels: int) -> None:
        """Creates the code.

        Args:
            channels: C, channels of a patch feature, a multiple of 4.

        Raises:
            MoleflowError: `channels` is not a multiple of 4.
        """
        super().__init__(channels)
        self.query, self.key, self.out = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        self.table = nn.Parameter(0.02 * torch.randn((2 * FARTHEST + 1) ** 2, HEADS))
        self.gate = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Adds code and attention.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            Patch features with their code, (B, H, W, C).
        """
        offsets = self.table[_offsets(x.shape[1], x.shape[2], x.device)].permute(2, 0, 1)  # (4, H·W, H·W)
        patches = x.flatten(1, 2)
        query, key, value = (
            each.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for each in (self.query(patches), self.key(patches), patches)
        )  # (B, 4, H·W, C/4)
        found = F.scaled_dot_product_attention(query, key, value.to(query.dtype), offsets.to(query.dtype))
        attention = self.out(found.transpose(1, 2).flatten(2)).view_as(x)
        share = self.gate.sigmoid()
        return x + (1 - share) * self.code_for(x) + share * attention

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            relative_share: σ(g).
        """
        return {"relative_share": self.gate.sigmoid()}


def _offsets(height: int, width: int, device: torch.device) -> Tensor:
    """Number of the offset of every pair of patches, (H·W, H·W)."""
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    places = torch.cartesian_prod(rows, columns)  # (H·W, 2)
    apart = (places[:, None] - places[None]).clamp(-FARTHEST, FARTHEST) + FARTHEST
    return apart[..., 0] * (2 * FARTHEST + 1) + apart[..., 1]
