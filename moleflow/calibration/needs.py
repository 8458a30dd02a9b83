"""How many normal images a rate of false alarms asks for, in words."""

import math

from moleflow.calibration.conformal import images_needed


def alarm_needs(alarm_rate: float, compared: int, normal: int, *, drawn: bool, may_cross: bool, kinds: int = 0) -> str:
    """Says whether there are enough normal images for an alarm rate, and what would help.

    Args:
        alarm_rate: tolerated share of false alarms, in (0, 1).
        compared: how many normal images others are compared with: the calibration images, or all of them; with
            `alarm_for: shifted` how many of them were changed harmlessly.
        normal: how many normal images there are besides those of the test.
        drawn: whether the calibration images are drawn from the normal ones, by `calibration_fraction`.
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
    elif drawn:
        if may_cross and needed <= normal:
            ways.append("calibration: cross")
        if needed <= normal - 2:
            ways.append(f"calibration_fraction: {math.ceil(1000 * needed / normal) / 1000:g}")
        ways.append(f"{math.ceil(normal * needed / max(compared, 1)) - normal} more normal images")
    else:
        ways.append(f"{needed - compared} more calibration images")
    if kinds:
        ways = [f"{ways[-1]} with probe_images: {math.ceil(needed / kinds)} or more"]
    ways.append(f"alarm_rate: {math.ceil(1000 / (compared + 1)) / 1000:g} or more")
    return (
        f"{alarm_rate:g} needs {needed} normal images to compare with and there are {compared}: no alarm can be "
        f"raised; what helps: {', or '.join(ways)}"
    )
