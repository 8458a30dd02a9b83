"""How many normal images a rate of false alarms asks for, in words."""

import math
from itertools import count

from moleflow.calibration.conformal import ROUNDING, images_needed


def smallest_rate(compared: int) -> float:
    """The smallest alarm rate that some images can promise, in few digits: 1/(n + 1), rounded up.

    Args:
        compared: n, how many normal images others are compared with.

    Returns:
        A rate that `images_needed` says they are enough for.
    """
    step = 10.0 ** -max(3, math.ceil(math.log10(compared + 1)) + 1)
    return round(math.ceil((1 - ROUNDING) / (compared + 1) / step) * step, 9)


def alarm_needs(
    alarm_rate: float, compared: int, normal: int, *, fraction: float | None, may_cross: bool, kinds: int = 0
) -> str:
    """Says whether there are enough normal images for an alarm rate, and what would help.

    Args:
        alarm_rate: tolerated share of false alarms, in (0, 1).
        compared: how many normal images others are compared with: the calibration images, or all of them; with
            `alarm_for: shifted` how many of them were changed harmlessly.
        normal: how many normal images there are besides those of the test.
        fraction: `calibration_fraction`, by which the calibration images are drawn from the normal ones; None where the
            data set has its own.
        may_cross: whether `calibration: cross` would compare with all of them.
        kinds: of harmless change that others are compared with; 0 for `alarm_for: session`.

    Returns:
        A sentence without a full stop.
    """
    needed = images_needed(alarm_rate)
    if compared >= needed:
        return f"{alarm_rate:g} needs {needed} normal images to compare with, there are {compared}"
    ways = []
    if compared >= normal:
        ways.append(f"{needed - normal} more normal images")
    elif fraction is not None:
        if may_cross and needed <= normal:
            ways.append("calibration: cross")
        if needed <= normal - 2:
            ways.append(f"calibration_fraction: {math.ceil(1000 * needed / normal) / 1000:g}")
        at_least = max(normal + 1, int((needed - 1) / fraction))
        enough = next(images for images in count(at_least) if round(fraction * images) >= needed)
        ways.append(f"{enough - normal} more normal images")
    else:
        ways.append(f"{needed - compared} more calibration images")
    if kinds:
        ways = [f"{ways[-1]} with probe_images: {math.ceil(needed / kinds)} or more"]
    ways.append(f"alarm_rate: {smallest_rate(compared):g} or more")
    return (
        f"{alarm_rate:g} needs {needed} normal images to compare with and there are {compared}: no alarm can be "
        f"raised; what helps: {', or '.join(ways)}"
    )
