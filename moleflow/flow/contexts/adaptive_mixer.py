"""A mixer whose strength, gain and shift are each product's own."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.flow.depthwise import box_average


class AdaptiveMixer(nn.Module):
    """x ← (1−a)·x + a·(s⊙conv(x) + b): the convolution is shared; a, s and b are each product's own.

    Source: docs/method.md, Context.
    """

    def __init__(self, channels: int, *, mixer_kernel: int) -> None:
        """Creates the mixer; a new expert starts at a = σ(0.5), s = 1 and b = 0.

        Args:
            channels: C, channels of a patch.
            mixer_kernel: side of the convolution in patches, odd.
        """
        super().__init__()
        self.conv = box_average(channels, mixer_kernel)
        self.own = nn.ParameterDict(
            {"mix": torch.tensor(0.5), "gain": torch.ones(channels), "shift": torch.zeros(channels)}
        )

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Mixes every patch with its neighbors.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            The mixed patches, (B, H, W, C).
        """
        mixed = self.own["gain"] * self.conv(x).to(x.dtype) + self.own["shift"]
        return torch.lerp(x, mixed, self.own["mix"].sigmoid())

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            adaptive_mixer_strength: a.
        """
        return {"adaptive_mixer_strength": self.own["mix"].sigmoid()}
