"""Fusion: several statistics become one, on one scale for all experts; higher is more anomalous."""

from collections.abc import Sequence

import numpy as np

from moleflow.calibration.surprise import Reference


def fuse(references: Sequence[Reference], values: list[np.ndarray]) -> np.ndarray:
    """Fuses several statistics by the sum of their surprises (Fisher's method); one stays as it is.

    Args:
        references: of each statistic the values of normal images.
        values: of each statistic the values to fuse, all of one shape.

    Returns:
        The sum, in nats, or the only statistic; shape of its values.

    Source: Fisher, "Statistical Methods for Research Workers", 1925, section 21.1.
    """
    if len(values) == 1:
        return values[0]
    return np.sum([normal.surprise(compared) for normal, compared in zip(references, values, strict=True)], axis=0)


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
        references = [Reference.of(normal[others]) for normal in reference] if len(values) > 1 else []
        scores[own] = fuse(references, [compared[own] for compared in values])
    return scores


def comparable_scores(normal: Reference, scores: np.ndarray) -> np.ndarray:
    """Image scores on one scale for all experts: their surprise among the expert's own normal scores, without ties.

    Strictly increasing in the score, so that the ranking within one expert stays the same: below the smallest normal
    score, where `surprise` is constant, it goes on falling toward 0.

    Args:
        normal: image scores of the calibration images by one expert.
        scores: image scores by the same expert, (N,).

    Returns:
        (N,), in nats; larger is more anomalous.
    """
    least = normal.ordered[0]
    below = np.maximum(least - scores, 0) / max(normal.ordered.std(), 1e-6 * (1 + abs(least)))
    result: np.ndarray = normal.surprise(scores) / (1 + below)
    return result
