"""Shared layers by which a patch sees its neighbors."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class NoMixer(nn.Module):
    """Patches do not mix."""

    def __init__(self, channels: int) -> None:
        """Creates the mixer.

        Args:
            channels: not used.
        """
        super().__init__()

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Leaves patches as they are.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            `x`.
        """
        return x


class SpatialMixer(nn.Module):
    """x ← (1−a)·x + a·conv(x), depthwise 3×3, starting as a box average, a = σ(0.5) at start.

    Outside the flow, so it adds no log_det. Source: docs/method.md, What the lab diary found: kernels of 5
    and 7 hurt.
    """

    def __init__(self, channels: int) -> None:
        """Creates the mixer.

        Args:
            channels: C, channels of a patch.
        """
        super().__init__()
        self.conv = DepthwiseConv(channels, 3)
        nn.init.constant_(self.conv.weight, 1 / 9)
        self.mix = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Mixes every patch with its neighbors.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            The mixed patches, (B, H, W, C).
        """
        return torch.lerp(x, self.conv(x).to(x.dtype), self.mix.sigmoid())


class DepthwiseConv(nn.Conv2d):
    """A depthwise convolution over (B, H, W, C); starts at zero with zero padding, no bias."""

    def __init__(self, channels: int, kernel: int) -> None:
        """Creates the convolution.

        Args:
            channels: C, channels in and out.
            kernel: side in patches, odd.
        """
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        nn.init.zeros_(self.weight)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Convolves each channel over the grid.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            The convolved patches, (B, H, W, C).
        """
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class ScaleContext(nn.Module):
    """c = a·depthwise(x1) with a = 0.2·σ(p) starting at 0.1; the context of the scale network.

    Source: docs/method.md, Couplings.
    """

    def __init__(self, channels: int, *, scale_context_kernel: int) -> None:
        """Creates the context.

        Args:
            channels: C, channels of x1.
            scale_context_kernel: side of the convolution in patches, odd.
        """
        super().__init__()
        self.conv = DepthwiseConv(channels, scale_context_kernel)
        self.strength = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Computes the context of every patch.

        Args:
            x: x1, (B, H, W, C).

        Returns:
            The context, (B, H, W, C).
        """
        return 0.2 * self.strength.sigmoid() * self.conv(x)


SPATIAL_MIXERS: dict[str, type[NoMixer] | type[SpatialMixer]] = {"none": NoMixer, "mixer": SpatialMixer}
