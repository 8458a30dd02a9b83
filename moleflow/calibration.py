"""From scores of held-out normal images to p-values and an alarm threshold; no defect is needed."""

import math

import numpy as np


def p_values(calibration: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Conformal p-values: (1 + #{calibration scores ≥ s}) / (n + 1).

    A normal image that is exchangeable with the calibration images has a p-value of at most α with
    probability at most α.

    Args:
        calibration: scores of held-out normal images, (n,).
        scores: scores to judge, (m,).

    Returns:
        p-values in (0, 1], (m,).

    Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, chapter 2.
    """
    below = np.searchsorted(np.sort(calibration), scores, side="left")
    return (1 + len(calibration) - below) / (len(calibration) + 1)


def alarm_threshold(calibration: np.ndarray, alarm_rate: float) -> float:
    """The score above which an image's p-value is at most `alarm_rate`.

    Args:
        calibration: scores of held-out normal images, (n,).
        alarm_rate: tolerated share of false alarms, in (0, 1).

    Returns:
        The threshold; infinite if n < 1/alarm_rate − 1, since so few images cannot warrant the rate.
    """
    # the small addition keeps 0.05 · 20 from falling just below 1
    allowed = math.floor(alarm_rate * (len(calibration) + 1) + 1e-9)
    if allowed == 0:
        return math.inf
    return float(np.sort(calibration)[-allowed])
