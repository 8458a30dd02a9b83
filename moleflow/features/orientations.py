"""Images judged in several orientations: their patch features turned by quarter turns, and the maps turned back."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Judged = dict[str, Float[Tensor, "N H W"]]


def least_over_turns(
    judge: Callable[[Tensor], Judged], features: Float[Tensor, "N H W C"], orientations: int
) -> Judged:
    """The smallest of each statistic over quarter turns of the images: a patch is normal if it is in one of them.

    Features are turned before `judge` sees them, hence before a position code is added: that of the place they come to.

    Args:
        judge: gives statistics of patches that depend on where these lie, (N, H, W) each.
        features: patch features of N images, (N, H, W, C), H = W.
        orientations: how many quarter turns, from none on; 1 judges the images as they are, 4 in all orientations.

    Returns:
        The statistics, (N, H, W) each, every patch at its place in the image as it is.

    Source: docs/method.md, Statistics.
    """
    if orientations == 1:
        return judge(features)
    turns = [
        {
            name: torch.rot90(statistic, -quarter, (1, 2))
            for name, statistic in judge(torch.rot90(features, quarter, (1, 2))).items()
        }
        for quarter in range(orientations)
    ]
    return {name: torch.stack([turn[name] for turn in turns]).amin(0) for name in turns[0]}
