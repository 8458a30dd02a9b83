"""Aggregations: from the patch scores of an image to one number."""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import binary_opening

from moleflow.config.registry import Settings, call, choose

# A member maps patch scores, (N, H, W), to one number per image, (N,); its keyword-only arguments are keys of
# params.yaml. Patches that do not count are NaN, the same in all images.


def top_k_mean(scores: np.ndarray, *, top_k: int) -> np.ndarray:
    """Mean of the largest patch scores.

    Args:
        scores: patch scores, (N, H, W).
        top_k: how many, in patches.

    Returns:
        Image scores, (N,).
    """
    return _mean_of_largest(scores, top_k)


def top_percent_mean(scores: np.ndarray, *, top_percent: float) -> np.ndarray:
    """Mean of the largest patch scores, a share of them.

    Args:
        scores: patch scores, (N, H, W).
        top_percent: how many, in percent of the patches; one at least.

    Returns:
        Image scores, (N,).
    """
    return _mean_of_largest(scores, max(1, round(_flat(scores).shape[1] * top_percent / 100)))


def percentile_of(scores: np.ndarray, *, percentile: float) -> np.ndarray:
    """A percentile of the patch scores.

    Args:
        scores: patch scores, (N, H, W).
        percentile: which one, 0 to 100.

    Returns:
        Image scores, (N,).
    """
    return np.percentile(_flat(scores), percentile, axis=1)


def maximum(scores: np.ndarray) -> np.ndarray:
    """The largest patch score.

    Args:
        scores: patch scores, (N, H, W).

    Returns:
        Image scores, (N,).
    """
    return _flat(scores).max(1)


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean of all patch scores.

    Args:
        scores: patch scores, (N, H, W).

    Returns:
        Image scores, (N,).
    """
    return _flat(scores).mean(1)


def spatial_cluster(scores: np.ndarray, *, top_k: int) -> np.ndarray:
    """Mean of the largest patch scores, with a bonus where high patches are clustered.

    The bonus is half a standard deviation times the share of the high patches that form 3×3 blocks. It is added,
    not multiplied as in docs/method.md, What the lab diary found: likelihood scores can be negative.

    Args:
        scores: patch scores, (N, H, W).
        top_k: how many of the largest, in patches.

    Returns:
        Image scores, (N,).
    """
    flat = _flat(scores)
    spread = flat.std(1)
    high = scores > (flat.mean(1) + 2 * spread)[:, None, None]
    clustered = binary_opening(high, np.ones((1, 3, 3))).sum((1, 2)) / np.maximum(high.sum((1, 2)), 1)
    return _mean_of_largest(scores, top_k) + 0.5 * spread * clustered


AGGREGATIONS: dict[str, Callable[..., np.ndarray]] = {
    "top_k": top_k_mean,
    "top_k_percent": top_percent_mean,
    "percentile": percentile_of,
    "max": maximum,
    "mean": mean,
    "spatial_cluster": spatial_cluster,
}


def aggregate(scores: np.ndarray, settings: Settings) -> np.ndarray:
    """Aggregates the patch scores of each image, above the level of the image's own patches.

    Another day's light lifts all patches of an image, a defect lifts some.

    Args:
        scores: patch scores, (N, H, W); NaN where patches do not count, the same in all images.
        settings: `aggregation`, a name in `AGGREGATIONS`, and what that member asks for; `image_level`, the percentile
            of an image's patch scores that is taken off them, or 0 for none.

    Returns:
        Image scores, (N,).

    Raises:
        ChoiceError: the aggregation is unknown.
    """
    scores = scores - levels(scores, settings)[:, None, None]
    return call(choose(AGGREGATIONS, settings["aggregation"], "aggregation"), settings, scores)


def levels(scores: np.ndarray, settings: Settings) -> np.ndarray:
    """The level of each image's own patches, above which they count.

    Args:
        scores: patch scores, (N, H, W).
        settings: `image_level`, the percentile of an image's patch scores, or 0 for none.

    Returns:
        Levels, (N,); 0 for none.
    """
    if not settings["image_level"] or _flat(scores).shape[1] == 1:  # a single patch is no level of others
        return np.zeros(len(scores), scores.dtype)
    found: np.ndarray = np.percentile(_flat(scores), settings["image_level"], axis=1).astype(scores.dtype)
    return found


def _flat(scores: np.ndarray) -> np.ndarray:
    """The patches that count, (N, P)."""
    flat = scores.reshape(len(scores), -1)
    return flat[:, ~np.isnan(flat[0])] if len(flat) else flat


def _mean_of_largest(scores: np.ndarray, count: int) -> np.ndarray:
    flat = _flat(scores)
    count = min(count, flat.shape[1])
    largest: np.ndarray = np.partition(flat, -count, axis=1)[:, -count:].mean(1)
    return largest
