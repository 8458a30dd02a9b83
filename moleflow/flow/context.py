"""Shared layers by which a patch sees its neighbours."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class NoMixer(nn.Module):
    """Patches do not mix."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Returns `x`."""
        return x


class SpatialMixer(nn.Module):
    """x ← (1−a)·x + a·conv(x), depthwise 3×3, starting as a box average, a = σ(0.5) at start.

    Outside the flow, so it adds no log_det. Source: update notes, context module; kernels of 5 and
    7 hurt there.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = DepthwiseConv(channels, 3)
        nn.init.constant_(self.conv.weight, 1 / 9)
        self.mix = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Mixes every patch with its neighbours."""
        return torch.lerp(x, self.conv(x).to(x.dtype), self.mix.sigmoid())


class DepthwiseConv(nn.Conv2d):
    """A depthwise convolution over (B, H, W, C); starts at zero with zero padding, no bias."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        nn.init.zeros_(self.weight)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Convolves each channel over the grid."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class ScaleContext(nn.Module):
    """c = a·depthwise(x1) with a = 0.2·σ(p) starting at 0.1; the context of the scale network."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = DepthwiseConv(channels, kernel)
        self.strength = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Context of every patch, (B, H, W, C)."""
        return 0.2 * self.strength.sigmoid() * self.conv(x)


SPATIAL_MIXERS: dict[str, type[NoMixer] | type[SpatialMixer]] = {"none": NoMixer, "mixer": SpatialMixer}
