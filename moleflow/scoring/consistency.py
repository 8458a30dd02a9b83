"""Local consistency: a patch counts for less where the patches around it do not agree with it."""

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.special import expit

LEAST_WEIGHT = expit(0.3)  # of a patch whose neighborhood agrees in nothing
STEEPNESS = np.log1p(np.e)


def consistent(scores: np.ndarray, *, least: float, consistency: list[int]) -> np.ndarray:
    """Weighs each patch by how little the scores around it vary, measured by its own score.

    Args:
        scores: patch scores, (N, H, W); NaN where patches do not count, the same in all images.
        least: the smallest score of normal patches, from which scores are counted: weights shrink them toward it.
        consistency: sides of the windows in patches; the weights of several are averaged.

    Returns:
        Weighted patch scores above `least`, (N, H, W); NaN as before.

    Source: docs/method.md, Scores and fusion.
    """
    counts = ~np.isnan(scores)
    above = np.where(counts, np.maximum(scores - least, 0), 0)
    weights = np.mean([_weights(above, counts, side) for side in consistency], axis=0)
    weighted: np.ndarray = np.where(counts, weights * above, np.nan)
    return weighted


def _weights(scores: np.ndarray, counts: np.ndarray, side: int) -> np.ndarray:
    """Weights by one window, (N, H, W), in [`LEAST_WEIGHT`, (1 + `LEAST_WEIGHT`)/2]."""
    offsets = scores - _local_mean(scores, counts, side)
    agreement = -STEEPNESS * _local_mean(offsets**2, counts, side) / (scores**2 + 1e-6)
    weights: np.ndarray = LEAST_WEIGHT + (1 - LEAST_WEIGHT) * expit(agreement)
    return weights


def _local_mean(values: np.ndarray, counts: np.ndarray, side: int) -> np.ndarray:
    """Means over the patches of each window that count: beyond the border lies nothing that could disagree."""
    window = {"size": (1, side, side), "mode": "constant"}
    total = uniform_filter(np.where(counts, values, 0.0), **window)
    share: np.ndarray = uniform_filter(counts.astype(float), **window)
    return total / np.maximum(share, 1e-9)
