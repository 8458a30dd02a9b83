"""The mixer: a blend of each patch with its neighbors."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.flow.depthwise import box_average


class Mixer(nn.Module):
    """x ← (1−a)·x + a·conv(x), depthwise, starting as a box average, a = σ(0.5) at start.

    Outside the flow, so it adds no log_det. Source: docs/method.md, Context.
    """

    def __init__(self, channels: int, *, mixer_kernel: int) -> None:
        """Creates the mixer.

        Args:
            channels: C, channels of a patch.
            mixer_kernel: side of the convolution in patches, odd.
        """
        super().__init__()
        self.conv = box_average(channels, mixer_kernel)
        self.mix = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Mixes every patch with its neighbors.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            The mixed patches, (B, H, W, C).
        """
        return torch.lerp(x, self.conv(x).to(x.dtype), self.mix.sigmoid())

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            mixer_strength: a.
        """
        return {"mixer_strength": self.mix.sigmoid()}
