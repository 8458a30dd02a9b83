"""How many normal images a rate of false alarms asks for, in words."""

import math

from moleflow.calibration.conformal import images_needed


def alarm_needs(alarm_rate: float, calibration: int, normal: int, *, drawn: bool) -> str:
    """Says whether there are enough calibration images for an alarm rate, and what would help.

    Args:
        alarm_rate: tolerated share of false alarms, in (0, 1).
        calibration: how many calibration images there are.
        normal: how many normal images there are besides those of the test.
        drawn: whether the calibration images are drawn from the normal ones, by `calibration_fraction`.

    Returns:
        A sentence without a full stop.
    """
    needed = images_needed(alarm_rate)
    if calibration >= needed:
        return f"{alarm_rate:g} needs {needed} calibration images, there are {calibration}"
    ways = []
    if drawn:
        if needed <= normal - 2:
            ways.append(f"calibration_fraction: {math.ceil(1000 * needed / normal) / 1000:g}")
        ways.append(f"{math.ceil(normal * needed / max(calibration, 1)) - normal} more normal images")
    else:
        ways.append(f"{needed - calibration} more calibration images")
    ways.append(f"alarm_rate: {math.ceil(1000 / (calibration + 1)) / 1000:g} or more")
    return (
        f"{alarm_rate:g} needs {needed} calibration images and there are {calibration}: no alarm can be raised; "
        f"what helps: {', or '.join(ways)}"
    )
