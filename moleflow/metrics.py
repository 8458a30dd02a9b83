"""Ranking metrics of images and pixels; undefined ones are None with a reason, never 0."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ranking:
    """How well scores rank the defective above the normal.

    Attributes:
        auroc: area under the ROC curve, or None.
        ap: average precision, or None.
        reason: why they are None; empty otherwise.
    """

    auroc: float | None
    ap: float | None
    reason: str = ""


def ranking(labels: np.ndarray, scores: np.ndarray) -> Ranking:
    """AUROC and average precision from a single sort.

    Args:
        labels: true where defective, any shape.
        scores: higher is more anomalous, same shape.

    Returns:
        Both metrics, equal to scikit-learn's; None where one kind of label is absent or all scores
        are equal.

    Raises:
        ValueError: a score is not finite.
    """
    labels, scores = np.ravel(labels).astype(bool), np.ravel(scores)
    if not np.isfinite(scores).all():
        raise ValueError("scores are not finite; the density that made them did not converge")
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return Ranking(None, None, f"{positives} defective and {negatives} normal: both are needed")
    order = np.argsort(scores)[::-1]
    ordered = scores[order]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)  # last of each tie
    if len(last) == 1:
        return Ranking(None, None, "all scores are equal")
    found = np.cumsum(labels[order])[last].astype(np.float64)  # true positives at each threshold
    alarms = last + 1.0
    recall = np.concatenate([[0.0], found / positives])
    fallout = np.concatenate([[0.0], (alarms - found) / negatives])
    return Ranking(
        auroc=float(np.trapezoid(recall, fallout)),
        ap=float(np.sum(np.diff(recall) * found / alarms)),
    )
