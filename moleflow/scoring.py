"""From likelihoods and distances to patch scores, image scores and anomaly maps; higher is more anomalous."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import binary_opening, gaussian_filter1d
from torch import Tensor
from torch.nn import functional as F

from moleflow.artifacts import ArtifactError
from moleflow.choices import choose

# A score is the statistics that it looks at; several are fused. "memory" stands for one per layer.
SCORES: dict[str, tuple[str, ...]] = {
    "nll": ("nll",),
    "latent": ("latent",),
    "log_det": ("log_det",),
    "fused": ("nll", "log_det"),
    "memory": ("memory",),
    "hybrid": ("nll", "latent", "memory"),
}

Statistics = dict[str, np.ndarray]
"""Per patch, higher is more anomalous, (N, H, W) each: nll, latent = ½‖z‖² and log_det, the negated
log-determinant, in nats; memory0, memory1, ... the distance to the memory of each layer."""


def require_finite(found: Statistics, product: str, images: list[str]) -> None:
    """Refuses statistics that no score may be made of.

    Args:
        found: (N, H, W) each.
        product: whose expert or baseline gave them, for the error.
        images: names of the N images, for the error.

    Raises:
        ArtifactError: a value is NaN or infinite; names product, image and statistic.
    """
    for name, values in found.items():
        finite = np.isfinite(values).reshape(len(values), -1).all(1)
        if not finite.all():
            raise ArtifactError(
                f"{product}: {name} of {images[int(finite.argmin())]} is not finite; look at the image, or lower lr or "
                "couplings in params.yaml"
            )


def statistics_of(score: str, found: Collection[str]) -> tuple[str, ...]:
    """The statistics that a score looks at; none if one of them was not found.

    Args:
        score: name in `SCORES`.
        found: names of the statistics there are.
    """
    names: list[str] = []
    for part in choose(SCORES, score, "score"):
        matching = sorted(name for name in found if name.rstrip("0123456789") == part)
        if not matching:
            return ()
        names += matching
    return tuple(names)


def surprise(reference: np.ndarray, values: np.ndarray) -> np.ndarray:
    """−log p of values against normal ones, with a heavy tail beyond what was seen.

    Up to the reference's 90 % quantile u, p is the interpolated empirical share above the value;
    beyond it a generalised Pareto tail of shape ξ = ½ with the mean excess of the reference:
    p = 0.1·(1 + ξ(v − u)/β)^(−1/ξ), β = (1 − ξ)·mean(excess). A heavy tail keeps one huge statistic
    from drowning the other when they are summed, and leaves no ties.

    Args:
        reference: statistics of held-out normals, any shape.
        values: statistics to judge, any shape.

    Returns:
        −log p, shape of `values`, in nats.

    Source: Pickands, "Statistical inference using extreme order statistics", 1975; METHOD section 6.
    """
    quantile, shape = 0.9, 0.5
    ordered = np.sort(reference, axis=None).astype(np.float64)
    start = np.quantile(ordered, quantile)
    excess = ordered[ordered > start] - start
    spread = (1 - shape) * excess.mean() if len(excess) else 0.0
    spread = max(spread, 1e-6 * (1 + abs(start)))  # normals without any variation
    ranks = (np.arange(len(ordered)) + 0.5) / len(ordered)
    body = np.maximum(1 - np.interp(values, ordered, ranks), 1 - quantile)
    tail = (1 - quantile) * (1 + shape * np.maximum(values - start, 0) / spread) ** (-1 / shape)
    result: np.ndarray = -np.log(np.where(values > start, tail, body))
    return result


def comparable_scores(normal: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Image scores on one scale for all experts: their surprise among the expert's own normal scores, without ties.

    Strictly increasing in the score, so that within one expert nothing is ranked anew: below the smallest normal
    score, where `surprise` is constant, it goes on falling towards 0.

    Args:
        normal: image scores of held-out normal images by one expert, (n,).
        scores: image scores by the same expert, (N,).

    Returns:
        (N,), in nats; larger is more anomalous.
    """
    least = normal.min()
    below = np.maximum(least - scores, 0) / max(normal.std(), 1e-6 * (1 + abs(least)))
    result: np.ndarray = surprise(normal, scores) / (1 + below)
    return result


def fuse(references: list[np.ndarray], values: list[np.ndarray]) -> np.ndarray:
    """One statistic as it is; several by the sum of their surprises (Fisher's method).

    Source: Fisher, "Statistical Methods for Research Workers", 1925, section 21.1.
    """
    if len(values) == 1:
        return values[0]
    return np.sum([surprise(*pair) for pair in zip(references, values, strict=True)], axis=0)


@dataclass(frozen=True)
class Aggregation:
    """How the patch scores of an image become one number.

    Attributes:
        name: name in `AGGREGATIONS`.
        top_k: patches that top_k and spatial_cluster average.
        top_percent: share of patches, in percent, that top_k_percent averages.
        percentile: the percentile that percentile takes.
    """

    name: str
    top_k: int
    top_percent: float
    percentile: float

    def __call__(self, patch_scores: np.ndarray) -> np.ndarray:
        """Aggregates (N, H, W) to (N,)."""
        flat = patch_scores.reshape(len(patch_scores), -1)
        return choose(AGGREGATIONS, self.name, "aggregation")(flat, patch_scores.shape[1:], self)


def _mean_of_largest(flat: np.ndarray, count: int) -> np.ndarray:
    count = min(count, flat.shape[1])
    largest: np.ndarray = np.partition(flat, -count, axis=1)[:, -count:].mean(1)
    return largest


def _spatial_cluster(flat: np.ndarray, grid: tuple[int, ...], settings: Aggregation) -> np.ndarray:
    """Top-k plus half a standard deviation times the share of high patches that lie in 3×3 blocks.

    Added, not multiplied as in the update notes: likelihood scores can be negative.
    """
    spread = flat.std(1)
    high = (flat > (flat.mean(1) + 2 * spread)[:, None]).reshape(len(flat), *grid)
    clustered = binary_opening(high, np.ones((1, 3, 3))).sum((1, 2)) / np.maximum(high.sum((1, 2)), 1)
    return _mean_of_largest(flat, settings.top_k) + 0.5 * spread * clustered


AGGREGATIONS: dict[str, Callable[[np.ndarray, tuple[int, ...], Aggregation], np.ndarray]] = {
    "top_k": lambda flat, grid, settings: _mean_of_largest(flat, settings.top_k),
    "top_k_percent": lambda flat, grid, settings: _mean_of_largest(
        flat, max(1, round(flat.shape[1] * settings.top_percent / 100))
    ),
    "percentile": lambda flat, grid, settings: np.percentile(flat, settings.percentile, axis=1),
    "max": lambda flat, grid, settings: flat.max(1),
    "mean": lambda flat, grid, settings: flat.mean(1),
    "spatial_cluster": _spatial_cluster,
}


def patch_scores(parts: tuple[str, ...], calibration: Statistics, judged: Statistics) -> np.ndarray:
    """Patch scores, (N, H, W), of some parts of what was judged, on one scale for all experts.

    Several parts are fused against the calibration images; a single one is counted in their standard deviations from
    their mean, which changes no map but its unit.
    """
    if len(parts) > 1:
        return fuse([calibration[part] for part in parts], [judged[part] for part in parts])
    normal = calibration[parts[0]]
    scores: np.ndarray = (judged[parts[0]] - float(normal.mean())) / (float(normal.std()) or 1.0)
    return scores


def scores_among_others(
    reference: list[np.ndarray], reference_sources: np.ndarray, values: list[np.ndarray], sources: np.ndarray
) -> np.ndarray:
    """Image scores, (N,), each fused against the reference images of other sources only.

    Judged against themselves, or against what was made of them, held-out images would look more ordinary than a
    new normal image, and the threshold would promise fewer false alarms than it keeps. With one statistic the
    promise is exact; with several a new image meets one reference more, and the rate stays a little below the
    promised one (tests/test_scorer.py).

    Args:
        reference: of each statistic the aggregated values of the reference images, (m,).
        reference_sources: number of the image that each of them is or was made of, (m,).
        values: of each statistic the aggregated values of the images, (N,).
        sources: the same for these, (N,).
    """
    scores = np.empty(len(sources))
    for source in np.unique(sources):
        own, others = sources == source, reference_sources != source
        if not others.any():  # it is the only one
            others = ~others
        scores[own] = fuse([each[others] for each in reference], [each[own] for each in values])
    return scores


def anomaly_maps(scores: np.ndarray, *, size: int, sigma: float) -> np.ndarray:
    """Patch scores brought to pixels: bilinear upsampling, then a Gaussian.

    Args:
        scores: patch scores, (N, H, W).
        size: side of the maps in pixels.
        sigma: standard deviation of the Gaussian in pixels; 0 for none.

    Returns:
        Anomaly maps, (N, size, size), float32.
    """
    rows, columns = (_to_pixels(patches, size, sigma) for patches in scores.shape[1:])
    maps: np.ndarray = (rows.T @ torch.from_numpy(scores).float() @ columns).numpy()
    return maps


def _to_pixels(patches: int, size: int, sigma: float) -> Tensor:
    """What each patch along a side gives to each pixel, (patches, size): both steps are linear, and one axis after the
    other, so that a product with this matrix does both."""
    upsampled = F.interpolate(torch.eye(patches)[:, None], size=size, mode="linear", align_corners=False)[:, 0]
    return torch.from_numpy(gaussian_filter1d(upsampled.numpy(), sigma)) if sigma else upsampled
