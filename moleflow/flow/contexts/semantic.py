"""Semantic context: every patch is told what the whole image looks like."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

EPS = 1e-6


class SemanticContext(nn.Module):
    """x ← x + σ(g)·network(mean, largest value and standard deviation over the image's patches); g starts at 0.3.

    The last layer starts at zero and no norm follows it: divided by √ε, its gradient would be hundreds of times too
    large. Source: docs/method.md, Context.
    """

    def __init__(self, channels: int) -> None:
        """Creates the context; it starts as the identity.

        Args:
            channels: C, channels of a patch.
        """
        super().__init__()
        hidden = channels // 2
        last = nn.Linear(hidden, channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(
            nn.Linear(3 * channels, hidden), nn.LayerNorm(hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.GELU(),
            last,
        )  # fmt: skip
        self.gate = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Adds to every patch what the network says of its image.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            The patches with their context, (B, H, W, C).
        """
        spread = (x.var((1, 2), correction=0) + EPS).sqrt()
        image = torch.cat([x.mean((1, 2)), x.amax((1, 2)), spread], dim=-1)  # (B, 3C)
        return x + self.gate.sigmoid() * self.network(image)[:, None, None]

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            semantic_strength: σ(g).
        """
        return {"semantic_strength": self.gate.sigmoid()}
