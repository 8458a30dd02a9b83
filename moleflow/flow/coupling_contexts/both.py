"""Contexts that scale and shift network see alike, of the 3×3 neighbors."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.flow.coupling_contexts.context import CouplingContext
from moleflow.flow.depthwise import DepthwiseConv

SIDE = 3  # patches


class LearnedContext(CouplingContext):
    """c = depthwise 3×3 convolution of x1, which starts at zero, for both networks.

    Source: docs/method.md, Couplings.
    """

    def __init__(self, channels: int) -> None:
        """Creates the context.

        Args:
            channels: K, channels of x1.
        """
        super().__init__()
        self.conv = DepthwiseConv(channels, SIDE)

    def forward(self, x: Float[Tensor, "B H W K"]) -> Float[Tensor, "B H W K"]:
        """Computes the context of every patch.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            The context, (B, H, W, K).
        """
        return self.conv(x)

    def reported(self, x: Float[Tensor, "B H W K"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            context_weight: mean absolute weight of the convolution.
        """
        return {"context_weight": self.conv.weight.abs().mean()}


class FixedContext(CouplingContext):
    """c = 0.7·x1 + 0.3·mean of x1 over the 3×3 neighbors inside the grid, for both networks; nothing is learned.

    Source: docs/method.md, Couplings.
    """

    def __init__(self, channels: int) -> None:
        """Creates the context.

        Args:
            channels: not used.
        """
        super().__init__()

    def forward(self, x: Float[Tensor, "B H W K"]) -> Float[Tensor, "B H W K"]:
        """Computes the context of every patch.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            The context, (B, H, W, K).
        """
        planes = x.permute(0, 3, 1, 2)
        mean = F.avg_pool2d(planes, SIDE, stride=1, padding=SIDE // 2, count_include_pad=False)
        return 0.7 * x + 0.3 * mean.permute(0, 2, 3, 1)


class NeighborAttention(CouplingContext):
    """c = Σ a_j·x1_j over the 3×3 neighbors inside the grid, with a = softmax(q·k_j/√d), for both networks.

    Source: docs/method.md, Couplings.
    """

    def __init__(self, channels: int) -> None:
        """Creates the context.

        Args:
            channels: K, channels of x1.
        """
        super().__init__()
        hidden = max(1, channels // 4)
        self.query, self.key = (nn.Linear(channels, hidden, bias=False) for _ in range(2))

    def forward(self, x: Float[Tensor, "B H W K"]) -> Float[Tensor, "B H W K"]:
        """Computes the context of every patch.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            The context, (B, H, W, K).
        """
        return (self._attention(x).unsqueeze(-2) * _neighbors(x)).sum(-1)

    def reported(self, x: Float[Tensor, "B H W K"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            context_on_itself: what every patch gives itself of its attention.
        """
        return {"context_on_itself": self._attention(x)[..., SIDE**2 // 2]}

    def _attention(self, x: Tensor) -> Tensor:
        """What each patch gives its neighbors, (B, H, W, 9)."""
        query, keys = self.query(x), _neighbors(self.key(x))
        inside = _neighbors(x.new_ones(1, *x.shape[1:3], 1)).squeeze(-2) > 0
        logits = (query.unsqueeze(-1) * keys).sum(-2) / query.shape[-1] ** 0.5
        return logits.masked_fill(~inside, -torch.inf).softmax(-1)


def _neighbors(x: Tensor) -> Tensor:
    """The 3×3 neighbors of every patch, (B, H, W, C, 9), zeros outside the grid."""
    batch, height, width, channels = x.shape
    found = F.unfold(x.permute(0, 3, 1, 2), SIDE, padding=SIDE // 2)  # (B, C·9, H·W)
    return found.mT.reshape(batch, height, width, channels, SIDE**2)
