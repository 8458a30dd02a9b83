"""Metrics of scores against labels and masks; undefined ones are None with a reason, never 0."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label
from scipy.stats import binomtest

FPR_LIMIT = 0.3  # AUPRO integrates up to this false-positive rate


@dataclass(frozen=True)
class Ranking:
    """How well scores rank the defective above the normal.

    Attributes:
        auroc: area under the ROC curve, or None.
        ap: average precision, or None.
        best_f1: largest F1 over all thresholds, or None. It looks at the labels: only for
            comparison with papers.
        aupro: area under the per-region overlap curve, of pixels with regions; otherwise None.
        reason: why they are None; empty otherwise.
    """

    auroc: float | None
    ap: float | None
    best_f1: float | None
    aupro: float | None = None
    reason: str = ""


def ranking(labels: np.ndarray, scores: np.ndarray) -> Ranking:
    """AUROC, average precision and best F1 of images.

    Args:
        labels: true where defective, (N,).
        scores: higher is more anomalous, (N,).

    Returns:
        Metrics equal to scikit-learn's; None where one kind of label is absent or all scores are equal.

    Raises:
        ValueError: a score is not finite.
    """
    defective = np.asarray(labels).astype(bool)
    return _ranking(scores[defective], scores[~defective], None)


def pixel_ranking(masks: np.ndarray, maps: np.ndarray) -> Ranking:
    """AUROC, average precision, best F1 and AUPRO of all pixels of some images.

    AUPRO weighs every connected region (8 neighbors) alike, whatever its size: the mean share of a
    region that is found, integrated over the false-positive rate from 0 to 0.3, divided by 0.3.

    Args:
        masks: true where defective, (N, S, S).
        maps: higher is more anomalous, (N, S, S).

    Returns:
        Metrics; None where one kind of pixel is absent or all scores are equal.

    Raises:
        ValueError: a score is not finite.

    Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, section 5.2.
    """
    normal = maps[~masks]
    defective, weights, regions = [], [], 0
    for mask, scores in zip(masks, maps, strict=True):
        if mask.any():
            numbers, count = label(mask, np.ones((3, 3)))
            region = numbers[mask] - 1
            defective.append(scores[mask])
            weights.append(1 / np.bincount(region, minlength=count)[region])
            regions += count
    if not defective:
        return Ranking(None, None, None, None, "no pixel is marked as defective")
    return _ranking(np.concatenate(defective), normal, np.concatenate(weights) / regions)


def _ranking(defective: np.ndarray, normal: np.ndarray, weights: np.ndarray | None) -> Ranking:
    """All metrics from the rank of each defective score among the normal ones; only scores are sorted."""
    if not (np.isfinite(defective).all() and np.isfinite(normal).all()):
        raise ValueError("scores are not finite; the density that made them did not converge")
    if not len(defective) or not len(normal):
        reason = f"{len(defective)} defective and {len(normal)} normal: both are needed"
        return Ranking(None, None, None, None, reason)
    order = np.argsort(defective)
    defective, normal = defective[order], np.sort(normal)
    if defective[0] == defective[-1] == normal[0] == normal[-1]:
        return Ranking(None, None, None, None, "all scores are equal")
    # False-positive rates just before and just after a defective score is reached; between the two
    # are the normal scores equal to it, along which the curves rise linearly.
    before = 1 - np.searchsorted(normal, defective, side="right") / len(normal)
    after = 1 - np.searchsorted(normal, defective, side="left") / len(normal)
    detected = len(defective) - np.searchsorted(defective, defective, side="left")
    alarms = detected + after * len(normal)
    aupro = None
    if weights is not None:
        aupro = float(np.sum(weights[order] * _area(before, after, FPR_LIMIT)) / FPR_LIMIT)
    return Ranking(
        auroc=float(_area(before, after, 1.0).mean()),
        ap=float((detected / alarms).mean()),
        best_f1=float((2 * detected / (len(defective) + alarms)).max()),
        aupro=aupro,
    )


def _area(start: np.ndarray, end: np.ndarray, limit: float) -> np.ndarray:
    """Areas, from 0 to `limit`, under ramps that rise from 0 at `start` to 1 at `end`."""
    reached = np.clip(limit - start, 0, None)
    rise = end - start
    within = reached < rise
    partial = reached**2 / (2 * np.where(within, rise, 1))
    return np.where(within, partial, reached - rise / 2)


@dataclass(frozen=True)
class Alarms:
    """How a threshold that was set before, from normal images alone, does on labeled images.

    Attributes:
        precision: share of the alarms that are right; None without alarms.
        recall: share of the defective images that raise an alarm; None without any.
        f1: harmonic mean of both; None if recall is, 0 without alarms.
        false_alarm_rate: share of the normal images that raise an alarm; None without any.
        false_alarm_low, false_alarm_high: its exact binomial 95 % interval.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    false_alarm_rate: float | None
    false_alarm_low: float | None
    false_alarm_high: float | None


def alarm_metrics(labels: np.ndarray, alarms: np.ndarray) -> Alarms:
    """Counts alarms on normal and on defective images.

    Args:
        labels: 1 defective, (N,).
        alarms: true where an alarm is raised, (N,).

    Returns:
        Shares of alarms; None where undefined.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of
    the binomial", 1934, for the interval.
    """
    defective = labels.astype(bool)
    hits, false = int(alarms[defective].sum()), int(alarms[~defective].sum())
    positives, negatives = int(defective.sum()), int((~defective).sum())
    interval = binomtest(false, negatives).proportion_ci() if negatives else None
    return Alarms(
        precision=hits / (hits + false) if hits + false else None,
        recall=hits / positives if positives else None,
        f1=2 * hits / (positives + hits + false) if positives else None,
        false_alarm_rate=false / negatives if negatives else None,
        false_alarm_low=float(interval.low) if interval else None,
        false_alarm_high=float(interval.high) if interval else None,
    )


def recall_at(labels: np.ndarray, scores: np.ndarray, rate: float) -> float | None:
    """Recall at the threshold at which just this share of the normal test images would raise an alarm.

    It looks at the labels: no threshold is set by it, it only says what a promised threshold could have found.

    Args:
        labels: 1 defective, (N,).
        scores: higher is more anomalous, (N,).
        rate: share of false alarms, in (0, 1).

    Returns:
        The recall, on the line between two points of the ROC curve; None if a kind of label is absent.
    """
    if len(np.unique(labels)) < 2:
        return None
    false, recall, _ = roc_curve(labels, scores)
    return float(np.interp(rate, np.append(0, false), np.append(0, recall)))


def mean_of_defined(values: Iterable[float | None]) -> float | None:
    """Mean of the metrics that are defined.

    Args:
        values: metrics, None where undefined.

    Returns:
        The mean; None if none is defined.
    """
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def roc_curve(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the ROC and precision-recall curves, from the highest threshold down.

    Args:
        labels: 1 defective, (N,); both kinds present.
        scores: (N,).

    Returns:
        False-positive rate, recall and precision at every distinct score, (T,) each.
    """
    thresholds = np.unique(scores)[::-1]
    defective = labels.astype(bool)
    detected = (scores[defective][:, None] >= thresholds).sum(0)
    false = (scores[~defective][:, None] >= thresholds).sum(0)
    return false / (~defective).sum(), detected / defective.sum(), detected / (detected + false)
