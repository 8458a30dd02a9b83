"""Anomaly maps: patch scores brought to pixels."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from torch.nn import functional as F


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
    """Weight of each patch along a side in each pixel, (patches, size): both steps are linear and take one axis after
    the other, so that multiplying by this matrix does both."""
    upsampled = F.interpolate(torch.eye(patches)[:, None], size=size, mode="linear", align_corners=False)[:, 0]
    return torch.from_numpy(gaussian_filter1d(upsampled.numpy(), sigma)) if sigma else upsampled
