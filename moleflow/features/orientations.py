"""Images judged in several orientations: their patch features turned by quarter turns, and the maps turned back."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

Judged = dict[str, Shaped[Tensor, "N H W"]]


def over_turns(
    judge: Callable[[Tensor], Judged], features: Float[Tensor, "N H W C"], orientations: int
) -> list[Judged]:
    """Statistics in quarter turns of the images, every patch back at its place in the image as it is.

    Features are turned before `judge` sees them, hence before a position code is added: that of the place they come to.

    Args:
        judge: gives statistics of patches that depend on where these lie, (N, H, W) each.
        features: patch features of N images, (N, H, W, C), H = W.
        orientations: how many quarter turns, from none on; 1 judges the images as they are, 4 in all orientations.

    Returns:
        The statistics by turn, (N, H, W) each.
    """
    if orientations == 1:
        return [judge(features)]
    return [
        {
            name: torch.rot90(statistic, -quarter, (1, 2))
            for name, statistic in judge(torch.rot90(features, quarter, (1, 2))).items()
        }
        for quarter in range(orientations)
    ]


def least_over_turns(
    judge: Callable[[Tensor], Judged], features: Float[Tensor, "N H W C"], orientations: int
) -> Judged:
    """The smallest of each statistic over quarter turns of the images: a patch is normal if it is in one of them.

    Args:
        judge: see `over_turns`.
        features: patch features of N images, (N, H, W, C), H = W.
        orientations: see `over_turns`.

    Returns:
        The statistics, (N, H, W) each.

    Source: docs/method.md, Statistics.
    """
    turns = over_turns(judge, features, orientations)
    if orientations == 1:
        return turns[0]
    return {name: torch.stack([turn[name] for turn in turns]).amin(0) for name in turns[0]}
