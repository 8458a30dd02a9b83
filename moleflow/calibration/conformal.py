"""From scores of calibration images to p-values and an alarm threshold; no defect is needed."""

import math

import numpy as np

ROUNDING = 1e-9  # so that 1/20 counts as 0.05, and 0.05·20 as 1


def alarms(p_values: np.ndarray, alarm_rate: float | np.ndarray) -> np.ndarray:
    """Which images raise an alarm: p-values of at most `alarm_rate`; the one place where this is decided.

    Args:
        p_values: of any shape.
        alarm_rate: tolerated share of false alarms, in (0, 1), or one for each.

    Returns:
        bool, shape of `p_values`.
    """
    raised: np.ndarray = p_values <= alarm_rate + ROUNDING
    return raised


def images_needed(alarm_rate: float) -> int:
    """The smallest number of normal images that can warrant a rate.

    Args:
        alarm_rate: tolerated share of false alarms, in (0, 1).

    Returns:
        The smallest n with alarm_rate·(n + 1) ≥ 1.
    """
    return math.ceil((1 - ROUNDING) / alarm_rate) - 1


def p_values(normal: np.ndarray, weights: np.ndarray, folds: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Conformal p-values, (1 + Σ weights of normal scores ≥ s) / (1 + Σ weights).

    With weights of 1 and one fold that is (1 + #{normal scores ≥ s}) / (n + 1): a normal image that is exchangeable
    with these images has a p-value of at most α with probability at most α. With weights it is exchangeable with an
    image drawn by them. Each fold has an expert that did not see the fold's images, and a score by expert f is
    compared with fold f alone: then the share of normal images with p ≤ α is about α; proven is a bound of about 2α.

    Args:
        normal: score of each normal image by the expert that did not see it, (n,).
        weights: of the normal images, (n,); a new one weighs 1.
        folds: fold of each of them, (n,), 0 to F − 1.
        scores: scores to compare with them, by the expert of every fold, (F, m).

    Returns:
        p-values in (0, 1], (m,).

    Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, chapter 2; Tibshirani et al.,
    "Conformal Prediction Under Covariate Shift", NeurIPS 2019, for weights; Vovk, "Cross-conformal predictors", 2015,
    and Barber et al., "Predictive inference with the jackknife+", 2021, theorem 4, for folds.
    """
    exceeded = np.zeros(scores.shape[1])
    for fold, fold_scores in enumerate(scores):
        order = np.argsort(normal[folds == fold])
        above = np.append(np.cumsum(weights[folds == fold][order][::-1])[::-1], 0)  # of each and all larger ones
        exceeded += above[np.searchsorted(normal[folds == fold][order], fold_scores, side="left")]
    result: np.ndarray = (1 + exceeded) / (1 + weights.sum())
    return result


def alarm_threshold(normal: np.ndarray, weights: np.ndarray, alarm_rate: float) -> float:
    """The score above which an image's p-value is at most `alarm_rate`.

    Args:
        normal: scores of normal images, (n,).
        weights: their weights, (n,); a new one weighs 1.
        alarm_rate: tolerated share of false alarms, in (0, 1).

    Returns:
        The threshold; infinite if no p-value is that small, since so few images do not warrant the rate.
    """
    counted = np.flatnonzero(weights)
    order = counted[np.argsort(normal[counted])[::-1]]  # from the largest score on
    with_larger = np.append(0, np.cumsum(weights[order]))[:-1]
    allowed = 1 + with_larger <= (alarm_rate + ROUNDING) * (1 + weights.sum())
    return float(normal[order][allowed][-1]) if allowed.any() else math.inf
