"""Fusion: several statistics become one, on one scale for all experts; higher is more anomalous."""

import numpy as np

from moleflow.calibration.surprise import surprise
from moleflow.files.record_file import Statistics


def fuse(references: list[np.ndarray], values: list[np.ndarray]) -> np.ndarray:
    """Fuses several statistics by the sum of their surprises (Fisher's method); one stays as it is.

    Args:
        references: of each statistic the values of normal images, any shape.
        values: of each statistic the values to fuse, all of one shape.

    Returns:
        The sum, in nats, or the only statistic; shape of its values.

    Source: Fisher, "Statistical Methods for Research Workers", 1925, section 21.1.
    """
    if len(values) == 1:
        return values[0]
    return np.sum([surprise(normal, compared) for normal, compared in zip(references, values, strict=True)], axis=0)


def patch_scores(parts: tuple[str, ...], calibration: Statistics, statistics: Statistics) -> np.ndarray:
    """Patch scores from some statistics, on one scale for all experts.

    Several statistics are fused against the calibration images; a single one is counted in their standard deviations
    from their mean, which changes a map's unit only.

    Args:
        parts: names of the statistics to use.
        calibration: statistics of the calibration images, (n, H, W) each.
        statistics: statistics of the images to score, (N, H, W) each.

    Returns:
        Patch scores, (N, H, W).
    """
    if len(parts) > 1:
        return fuse([calibration[part] for part in parts], [statistics[part] for part in parts])
    normal = calibration[parts[0]]
    scores: np.ndarray = (statistics[parts[0]] - float(normal.mean())) / (float(normal.std()) or 1.0)
    return scores


def scores_among_others(
    reference: list[np.ndarray], reference_sources: np.ndarray, values: list[np.ndarray], sources: np.ndarray
) -> np.ndarray:
    """Image scores, each fused against the reference images of other sources only.

    Scored against themselves, or against images made from them, calibration images would look more ordinary than
    a new normal image, and there would be more false alarms than promised. With one statistic the promise is
    exact; with several a new image is compared with one reference more, and the rate stays a little below the
    promised one (tests/scoring/test_scorer.py).

    Args:
        reference: of each statistic the aggregated values of the reference images, (m,).
        reference_sources: number of the calibration image that each reference image is or was made from, (m,).
        values: of each statistic the aggregated values of the images, (N,).
        sources: number of the calibration image that each image is or was made from, (N,).

    Returns:
        Image scores, (N,).
    """
    scores = np.empty(len(sources))
    for source in np.unique(sources):
        own, others = sources == source, reference_sources != source
        if not others.any():  # it is the only one
            others = ~others
        scores[own] = fuse([normal[others] for normal in reference], [compared[own] for compared in values])
    return scores


def comparable_scores(normal: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Image scores on one scale for all experts: their surprise among the expert's own normal scores, without ties.

    Strictly increasing in the score, so that the ranking within one expert stays the same: below the smallest normal
    score, where `surprise` is constant, it goes on falling toward 0.

    Args:
        normal: image scores of the calibration images by one expert, (n,).
        scores: image scores by the same expert, (N,).

    Returns:
        (N,), in nats; larger is more anomalous.
    """
    least = normal.min()
    below = np.maximum(least - scores, 0) / max(normal.std(), 1e-6 * (1 + abs(least)))
    result: np.ndarray = surprise(normal, scores) / (1 + below)
    return result
