"""Fusion: several statistics of a patch become one; higher is more anomalous."""

import numpy as np

from moleflow.calibration.surprise import Reference
from moleflow.files.record_file import Statistics
from moleflow.scoring.scores import Parts


def summed(parts: Parts, references: dict[str, Reference], statistics: Statistics) -> np.ndarray:
    """Sum of statistics, each in standard deviations of normal patches; every kind has the same weight.

    A defect is where statistics agree, and a large one may be very large: so images are judged.

    Args:
        parts: names of the statistics by kind.
        references: normal patches by statistic.
        statistics: values of patches, all of one shape.

    Returns:
        Patch scores, shape of the values.
    """
    kinds = [np.mean([references[part].z_scores(statistics[part]) for part in names], axis=0) for names in parts]
    total: np.ndarray = np.sum(kinds, axis=0)
    return total


def surprises(parts: Parts, references: dict[str, Reference], statistics: Statistics) -> np.ndarray:
    """Sum of surprises (Fisher's method), which grow ever more slowly: no statistic drowns the others in a map.

    A single statistic is counted in standard deviations, which ranks pixels alike and costs nothing.

    Args:
        parts: names of the statistics by kind.
        references: normal patches by statistic.
        statistics: values of patches, all of one shape.

    Returns:
        Patch scores in nats, or of a single statistic in standard deviations; shape of the values.

    Source: Fisher, "Statistical Methods for Research Workers", 1925, section 21.1.
    """
    names = [part for kind in parts for part in kind]
    if len(names) == 1:
        return references[names[0]].z_scores(statistics[names[0]])
    total: np.ndarray = np.sum([references[part].surprise(statistics[part]) for part in names], axis=0)
    return total


def comparable_scores(normal: Reference, scores: np.ndarray) -> np.ndarray:
    """Image scores on one scale for all experts: their surprise among the expert's own normal scores, without ties.

    Strictly increasing in the score, so that the ranking within one expert stays the same: below the smallest normal
    score, where `surprise` is constant, it goes on falling toward 0.

    Args:
        normal: scores of the normal images that one expert is calibrated by.
        scores: image scores by the same expert, (N,).

    Returns:
        (N,), in nats; larger is more anomalous.
    """
    least = normal.ordered[0]
    below = np.maximum(least - scores, 0) / max(normal.deviation, 1e-6 * (1 + abs(least)))
    result: np.ndarray = normal.surprise(scores) / (1 + below)
    return result
