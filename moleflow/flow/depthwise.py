"""Depthwise convolution over the grid of patches."""

from jaxtyping import Float
from torch import Tensor, nn


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


def box_average(channels: int, kernel: int) -> DepthwiseConv:
    """A depthwise convolution that starts as the mean of a window, with zeros around the grid.

    Args:
        channels: C, channels in and out.
        kernel: side in patches, odd.

    Returns:
        The convolution.
    """
    convolution = DepthwiseConv(channels, kernel)
    nn.init.constant_(convolution.weight, 1 / kernel**2)
    return convolution
