"""Anomaly maps are the patch scores, upsampled and smoothed."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from moleflow.scoring.maps import anomaly_maps


def test_anomaly_maps_keep_place_and_level():
    scores = np.zeros((1, 7, 7), np.float32)
    scores[0, 1, 5] = 1
    smooth = anomaly_maps(scores, size=70, sigma=4.0)
    assert smooth.shape == (1, 70, 70)
    assert np.unravel_index(smooth[0].argmax(), (70, 70)) in [(row, column) for row in (14, 15) for column in (54, 55)]
    np.testing.assert_allclose(anomaly_maps(np.full((1, 7, 7), 2.0), size=70, sigma=4.0), 2.0, rtol=1e-5)
    assert anomaly_maps(scores, size=7, sigma=0.0).sum() == 1


@pytest.mark.parametrize(("size", "sigma"), [(64, 4.0), (45, 1.5), (30, 0.0), (7, 2.0)])
def test_anomaly_maps_are_the_interpolated_scores_smoothed(size, sigma):
    scores = np.random.default_rng(0).gamma(2, 3, (3, 9, 12)).astype(np.float32)
    upsampled = F.interpolate(torch.from_numpy(scores)[:, None], size=(size, size), mode="bilinear")[:, 0].numpy()
    expected = gaussian_filter(upsampled, (0, sigma, sigma)) if sigma else upsampled
    np.testing.assert_allclose(anomaly_maps(scores, size=size, sigma=sigma), expected, rtol=1e-5)


def test_several_smoothings_are_averaged():
    scores = np.random.default_rng(0).normal(size=(2, 5, 5))
    each = [anomaly_maps(scores, size=40, sigma=sigma) for sigma in (2.0, 0.0, 4.0)]
    np.testing.assert_allclose(anomaly_maps(scores, size=40, sigma=[2.0, 0.0, 4.0]), np.mean(each, 0), atol=1e-6)
    assert np.array_equal(anomaly_maps(scores, size=40, sigma=[4.0]), each[2])
