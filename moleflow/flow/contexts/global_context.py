"""Global context: every patch asks the regions of its image."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class GlobalContext(nn.Module):
    """x ← x + σ(g)·W_o·attention(x, means of R×R regions), with C//4 channels; W_o starts at zero, g at 0.1.

    Source: docs/method.md, Context.
    """

    def __init__(self, channels: int, *, global_regions: int) -> None:
        """Creates the context; it starts as the identity.

        Args:
            channels: C, channels of a patch.
            global_regions: R, regions per side.
        """
        super().__init__()
        hidden = max(1, channels // 4)
        self.regions = global_regions
        self.query, self.key, self.value = (nn.Linear(channels, hidden, bias=False) for _ in range(3))
        self.out = nn.Linear(hidden, channels, bias=False)
        nn.init.zeros_(self.out.weight)
        self.gate = nn.Parameter(torch.tensor(0.1))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Adds to every patch what it takes from the regions.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            The patches with their context, (B, H, W, C).
        """
        regions = F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), self.regions).flatten(2).mT  # (B, R², C)
        found = F.scaled_dot_product_attention(self.query(x.flatten(1, 2)), self.key(regions), self.value(regions))
        return x + self.gate.sigmoid() * self.out(found).view_as(x)

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            global_strength: σ(g).
        """
        return {"global_strength": self.gate.sigmoid()}
