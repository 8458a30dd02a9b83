"""From scores of calibration images to p-values and an alarm threshold; no defect is needed."""

import math

import numpy as np

ROUNDING = 1e-9  # so that 1/20 counts as 0.05, and 0.05·20 as 1


def alarms(p_values: np.ndarray, alarm_rate: float) -> np.ndarray:
    """Which images raise an alarm: p-values of at most `alarm_rate`; the one place where this is decided.

    Args:
        p_values: of any shape.
        alarm_rate: tolerated share of false alarms, in (0, 1).

    Returns:
        bool, shape of `p_values`.
    """
    raised: np.ndarray = p_values <= alarm_rate + ROUNDING
    return raised


def images_needed(alarm_rate: float) -> int:
    """The smallest number of calibration images that can warrant a rate.

    Args:
        alarm_rate: tolerated share of false alarms, in (0, 1).

    Returns:
        The smallest n with alarm_rate·(n + 1) ≥ 1.
    """
    return math.ceil((1 - ROUNDING) / alarm_rate) - 1


def p_values(calibration: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Conformal p-values: (1 + #{calibration scores ≥ s}) / (n + 1).

    A normal image that is exchangeable with the calibration images has a p-value of at most α with
    probability at most α.

    Args:
        calibration: scores of the calibration images, (n,).
        scores: scores to compare with them, (m,).

    Returns:
        p-values in (0, 1], (m,).

    Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, chapter 2.
    """
    below = np.searchsorted(np.sort(calibration), scores, side="left")
    return (1 + len(calibration) - below) / (len(calibration) + 1)


def cross_p_values(calibration: np.ndarray, folds: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Cross-conformal p-values; with a single fold they are `p_values`.

    Each fold has a density that did not see the fold's images. A score by density f is compared with
    the calibration scores of fold f alone: p = (1 + Σ_f #{i in fold f: calibration_i ≥ score_f}) / (n + 1).
    The share of normal images with p ≤ α is about α; proven is a bound of about 2α for more than one fold.

    Args:
        calibration: score of each calibration image by the density that did not see it, (n,).
        folds: fold of each of them, (n,), 0 to F − 1.
        scores: scores to compare with them, by the density of every fold, (F, m).

    Returns:
        p-values in (0, 1], (m,).

    Source: Vovk, "Cross-conformal predictors", 2015; Barber et al., "Predictive inference with the
    jackknife+", 2021, theorem 4, for the bound.
    """
    exceeded = np.zeros(scores.shape[1])
    for fold, fold_scores in enumerate(scores):
        own = np.sort(calibration[folds == fold])
        exceeded += len(own) - np.searchsorted(own, fold_scores, side="left")
    return (1 + exceeded) / (len(calibration) + 1)


def alarm_threshold(calibration: np.ndarray, alarm_rate: float) -> float:
    """The score above which an image's p-value is at most `alarm_rate`.

    Args:
        calibration: scores of the calibration images, (n,).
        alarm_rate: tolerated share of false alarms, in (0, 1).

    Returns:
        The threshold; infinite if n < `images_needed`, since so few images do not warrant the rate.
    """
    if len(calibration) < images_needed(alarm_rate):
        return math.inf
    allowed = math.floor(alarm_rate * (len(calibration) + 1) + ROUNDING)
    return float(np.sort(calibration)[-allowed])
