"""Context of several scales: averages near and far, weighed image by image."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.config.errors import MoleflowError

DILATIONS = (1, 2, 4)  # patches
REGIONS = 4  # per side, of the regional branch
RANK = 16  # of what a product adds to the regional branch


class _Branches(nn.Module):
    """(1−σ(g))·x + σ(g)·Σ a_i·f_i, with a = softmax(attention(mean patch)).

    The branches f are shared: one 3×3 kernel at three dilations, and averages of regions, which start at zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.full((channels, 1, 3, 3), 1 / 9))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.regional = nn.Linear(channels, channels)
        nn.init.zeros_(self.regional.weight)
        nn.init.zeros_(self.regional.bias)

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Blends every patch with what surrounds it.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            The blended patches, (B, H, W, C).

        Raises:
            MoleflowError: the grid is too small.
        """
        if min(x.shape[1:3]) <= max(DILATIONS):
            raise MoleflowError(
                f"context: a multi-scale context needs more than {max(DILATIONS)} patches per side; grid gives "
                f"{x.shape[1]}×{x.shape[2]}"
            )
        weighing = self._weighing()
        weights = weighing.attention(x.mean((1, 2))).softmax(-1)  # (B, 4)
        branches = [*self._dilated(x), self._of_regions(x)]
        blend = sum(weights[:, i, None, None, None] * branch for i, branch in enumerate(branches))
        return torch.lerp(x, torch.as_tensor(blend).to(x.dtype), weighing.gate.sigmoid())

    def _weighing(self) -> Any:
        """What holds `attention`, which weighs the branches by the mean patch, and `gate`: the context, or `own`."""
        return self

    def _dilated(self, x: Tensor) -> list[Tensor]:
        """For each dilation the convolved patches, (B, H, W, C); the border is mirrored."""
        planes = x.permute(0, 3, 1, 2)
        padded = [F.pad(planes, (dilation,) * 4, mode="reflect") for dilation in DILATIONS]
        return [
            F.conv2d(plane, self.kernel, self.bias, dilation=dilation, groups=len(self.bias)).permute(0, 2, 3, 1)
            for plane, dilation in zip(padded, DILATIONS, strict=True)
        ]

    def _of_regions(self, x: Tensor) -> Tensor:
        """Projected means of regions, brought back to the grid, (B, H, W, C)."""
        means = F.adaptive_avg_pool2d(x.permute(0, 3, 1, 2), REGIONS)
        back = F.interpolate(means, x.shape[1:3], mode="bilinear", align_corners=False)
        return self._projected(back.permute(0, 2, 3, 1))

    def _projected(self, regions: Tensor) -> Tensor:
        return self.regional(regions)


class MultiScaleContext(_Branches):
    """x ← (1−σ(g))·x + σ(g)·Σ a_i·f_i over three dilations and the regions, all of it shared; g starts at 0.3.

    Source: docs/method.md, Context. It needs more than 4 patches per side.
    """

    def __init__(self, channels: int) -> None:
        """Creates the context.

        Args:
            channels: C, channels of a patch.
        """
        super().__init__(channels)
        self.attention = nn.Linear(channels, len(DILATIONS) + 1)
        self.gate = nn.Parameter(torch.tensor(0.3))

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            ms_context_strength: σ(g).
        """
        return {"ms_context_strength": self.gate.sigmoid()}


class _Own(nn.Module):
    """What each product has of its own: weighing, gate, and a low-rank part that starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.Linear(channels, len(DILATIONS) + 1)
        self.gate = nn.Parameter(torch.tensor(0.1))
        self.down, self.up = nn.Linear(channels, RANK, bias=False), nn.Linear(RANK, channels, bias=False)
        nn.init.xavier_uniform_(self.down.weight)
        nn.init.zeros_(self.up.weight)


class TaskMultiScaleContext(_Branches):
    """The same with each product's own weighing and gate, and a low-rank part of the regional projection.

    Source: docs/method.md, Context. It needs more than 4 patches per side.
    """

    def __init__(self, channels: int) -> None:
        """Creates the context; a new expert's gate starts at σ(0.1), its low-rank part at zero.

        Args:
            channels: C, channels of a patch.
        """
        super().__init__(channels)
        self.own = _Own(channels)

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patches, (B, H, W, C).

        Returns:
            task_ms_context_strength: σ(g).
        """
        return {"task_ms_context_strength": self.own.gate.sigmoid()}

    def _weighing(self) -> Any:
        return self.own

    def _projected(self, regions: Tensor) -> Tensor:
        return self.regional(regions) + self.own.up(self.own.down(regions)) / RANK
