"""Anomaly maps: patch scores brought to pixels."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn import functional as F

Smoothing = float | Sequence[float]
"""Standard deviation of the Gaussian in pixels, 0 for none; of several the maps are averaged."""


def anomaly_maps(scores: np.ndarray, *, size: int, sigma: Smoothing) -> np.ndarray:
    """Patch scores brought to pixels: bilinear upsampling, then a Gaussian.

    Args:
        scores: patch scores, (N, H, W).
        size: side of the maps in pixels.
        sigma: see `Smoothing`.

    Returns:
        Anomaly maps, (N, size, size), float32.
    """
    maps: np.ndarray = brought_to_pixels(torch.from_numpy(scores).float(), size=size, sigma=sigma).numpy()
    return maps


def brought_to_pixels(scores: Float[Tensor, "N H W"], *, size: int, sigma: Smoothing) -> Float[Tensor, "N size size"]:
    """The same of a tensor, on its device.

    Args:
        scores: patch scores, (N, H, W).
        size: side of the maps in pixels.
        sigma: see `Smoothing`.

    Returns:
        Anomaly maps, (N, size, size).
    """
    if isinstance(sigma, Sequence):
        return torch.stack([brought_to_pixels(scores, size=size, sigma=each) for each in sigma]).mean(0)
    rows, columns = (_to_pixels(patches, size, sigma).to(scores.device) for patches in scores.shape[1:])
    return rows.T @ scores @ columns


@lru_cache(maxsize=8)
def _to_pixels(patches: int, size: int, sigma: float) -> Tensor:
    """Weight of each patch along a side in each pixel, (patches, size): both steps are linear and take one axis after
    the other, so that multiplying by this matrix does both."""
    upsampled = F.interpolate(torch.eye(patches)[:, None], size=size, mode="linear", align_corners=False)[:, 0]
    return torch.from_numpy(gaussian_filter1d(upsampled.numpy(), sigma)) if sigma else upsampled
