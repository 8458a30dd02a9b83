"""Contexts of the scale network alone."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.flow.coupling_contexts.context import CouplingContext
from moleflow.flow.depthwise import DepthwiseConv


class ScaleContext(CouplingContext):
    """c = a·depthwise(x1) with a = 0.2·σ(p) starting at 0.1; the context of the scale network.

    Source: docs/method.md, Couplings.
    """

    to_shift = False

    def __init__(self, channels: int, *, scale_context_kernel: int) -> None:
        """Creates the context.

        Args:
            channels: K, channels of x1.
            scale_context_kernel: side of the convolution in patches, odd.
        """
        super().__init__()
        self.conv = DepthwiseConv(channels, scale_context_kernel)
        self.strength = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Float[Tensor, "B H W K"]) -> Float[Tensor, "B H W K"]:
        """Computes the context of every patch.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            The context, (B, H, W, K).
        """
        return 0.2 * self.strength.sigmoid() * self.conv(x)

    def reported(self, x: Float[Tensor, "B H W K"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            context_strength: a.
        """
        return {"context_strength": 0.2 * self.strength.sigmoid()}


class GatedContext(CouplingContext):
    """c = σ(W2·relu(W1·[x1, d] + b1) + b2)·d with d = depthwise(x1): a strength for every patch.

    W2 and b2 alone start at zero: with W1 at zero too, b2 would learn alone. Source: docs/method.md, Couplings.
    """

    to_shift = False

    def __init__(self, channels: int, *, scale_context_kernel: int, context_gate: int) -> None:
        """Creates the context.

        Args:
            channels: K, channels of x1.
            scale_context_kernel: side of the convolution in patches, odd.
            context_gate: channels between the gate's two layers.
        """
        super().__init__()
        self.conv = DepthwiseConv(channels, scale_context_kernel)
        last = nn.Linear(context_gate, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.gate = nn.Sequential(nn.Linear(2 * channels, context_gate), nn.ReLU(), last, nn.Sigmoid())

    def forward(self, x: Float[Tensor, "B H W K"]) -> Float[Tensor, "B H W K"]:
        """Computes the context of every patch.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            The context, (B, H, W, K).
        """
        around = self.conv(x)
        return self.gate(torch.cat([x, around], dim=-1)) * around

    def reported(self, x: Float[Tensor, "B H W K"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: x1, (B, H, W, K).

        Returns:
            context_gate: the gate of every patch.
        """
        return {"context_gate": self.gate(torch.cat([x, self.conv(x)], dim=-1))}


def scale_context(channels: int, *, scale_context_kernel: int, context_gate: int) -> CouplingContext | None:
    """The context of the scale network alone.

    Args:
        channels: K, channels of x1.
        scale_context_kernel: side of its convolution in patches, odd; 0 for no context.
        context_gate: channels between the layers of a gate for every patch; 0 for one strength for all.

    Returns:
        The context, or None for none.
    """
    if not scale_context_kernel:
        return None
    if context_gate:
        return GatedContext(channels, scale_context_kernel=scale_context_kernel, context_gate=context_gate)
    return ScaleContext(channels, scale_context_kernel=scale_context_kernel)
