"""Attention between all patches of an image."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

HIDDEN = 256  # channels of queries, keys and values


class PatchAttention(nn.Module):
    """A transformer block over an image's patches: x ← x + tanh(g)·attention(x), then x ← x + FFN(x).

    g and the last layer of the FFN start at zero, so that it starts as the identity.
    Source: docs/method.md, Context.
    """

    def __init__(self, channels: int) -> None:
        """Creates the block; it starts as the identity.

        Args:
            channels: C, channels of a patch.
        """
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.query, self.key, self.value = (nn.Linear(channels, HIDDEN, bias=False) for _ in range(3))
        self.out = nn.Linear(HIDDEN, channels)
        self.gate = nn.Parameter(torch.tensor(0.0))
        last = nn.Linear(2 * channels, channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.feed_forward = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, 2 * channels), nn.GELU(), last)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Lets every patch take from all others.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            The patches with their context, (B, H, W, C).
        """
        normed = self.norm(x).flatten(1, 2)  # (B, H·W, C)
        found = F.scaled_dot_product_attention(self.query(normed), self.key(normed), self.value(normed))
        x = x + self.gate.tanh() * self.out(found).view_as(x)
        return x + self.feed_forward(x)

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            patch_attention_strength: tanh(g).
        """
        return {"patch_attention_strength": self.gate.tanh()}
