"""How many normal images a rate of false alarms asks for, in words."""

import math

from moleflow.calibration.conformal import images_needed


def alarm_needs(alarm_rate: float, compared: int, normal: int, *, drawn: bool, changed: list[int]) -> str:
    """Says whether there are enough normal images for an alarm rate, and what would help.

    Args:
        alarm_rate: tolerated share of false alarms, in (0, 1).
        compared: how many unchanged normal images others are compared with: the calibration images, or all of them.
        normal: how many normal images there are besides those of the test.
        drawn: whether the calibration images are drawn from the normal ones, by `calibration_fraction`.
        changed: how many images of each kind of harmless change others are compared with too; none for `session`.

    Returns:
        A sentence without a full stop.
    """
    sessions = 1 + len(changed)
    needed, fewest = images_needed(alarm_rate, sessions), min([compared, *changed])
    each = "" if sessions == 1 else " of each kind of change"
    if fewest >= needed:
        return f"{alarm_rate:g} needs {needed} normal images{each} to compare with, there are {fewest}"
    ways = []
    if compared < needed and compared == normal:
        ways.append(f"{needed - normal} more normal images")
    elif compared < needed and drawn:
        if needed <= normal - 2:
            ways.append(f"calibration_fraction: {math.ceil(1000 * needed / normal) / 1000:g}")
        ways.append(f"{math.ceil(normal * needed / max(compared, 1)) - normal} more normal images")
    elif compared < needed:
        ways.append(f"{needed - compared} more calibration images")
    if changed and min(changed) < needed:
        ways = [" and ".join([*ways[:1], f"probe_images: {needed}"])]
    ways.append(f"alarm_rate: {math.ceil(1000 / (sessions * fewest + 1)) / 1000:g} or more")
    return (
        f"{alarm_rate:g} needs {needed} normal images{each} to compare with and there are {fewest}: no alarm can be "
        f"raised; what helps: {', or '.join(ways)}"
    )
