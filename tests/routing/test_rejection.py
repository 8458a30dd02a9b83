"""Rejection: about the promised share of known images, and all that is far."""

import numpy as np
import pytest
import torch

from moleflow.calibration.conformal import p_values
from moleflow.features.gaussian import fit_gaussian, left_out_distances
from moleflow.routing.rejection import OwnImages, can_reject, rejected
from moleflow.routing.routers import Euclidean


@pytest.mark.parametrize(("count", "rate"), [(49, 0.1), (150, 0.01), (49, 0.01), (20, 0.01), (8, 0.01), (8, 0.05)])
@pytest.mark.parametrize("channels", [6, 60])
def test_about_the_rate_of_a_known_products_images_is_rejected_and_what_is_far_is(count, rate, channels):
    """With few images too, where the share alone could never fall to the rate."""
    generator = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(60):
        normal, fresh = (torch.randn(images, channels, generator=generator) for images in (count, 200))
        strangeness = Euclidean([fit_gaussian(normal, 4)])(fresh, None)[:, 0].numpy()
        held_out = left_out_distances(normal).numpy()
        p = OwnImages.of(held_out).p_values(strangeness)
        assert not rejected(p[:, None], 0.0).any()
        shares.append(rejected(p[:, None], rate).mean())
        assert rejected(OwnImages.of(held_out).p_values(np.array([1e6]))[:, None], rate).all()
    assert sum(shares) / len(shares) < 2 * rate


def test_stranger_images_have_smaller_p_values_and_shares_come_first():
    held_out = np.random.default_rng(0).chisquare(20, 30)
    strangeness = np.linspace(0, 4 * held_out.max(), 400)
    p = OwnImages.of(held_out).p_values(strangeness)
    assert (np.diff(p) <= 0).all()
    seen = strangeness <= held_out.max()
    np.testing.assert_array_equal(p[seen], p_values(held_out, strangeness[seen]))
    assert p[~seen].max() <= 1 / 31
    assert p[-1] < 1e-3
    few = OwnImages.of(held_out[:4]).p_values(strangeness)
    assert few.min() == 1 / 5
    assert [can_reject(count, 0.01) for count in (4, 5, 99)] == [False, True, True]
    assert can_reject(4, 0.2)


def test_a_small_product_does_not_switch_rejection_off_for_all():
    rng = np.random.default_rng(0)
    large, small = rng.chisquare(20, 200), rng.chisquare(20, 12)
    p = np.stack([OwnImages.of(each).p_values(np.array([5.0, 500.0])) for each in (large, small)], axis=1)
    assert rejected(p, 0.01).tolist() == [False, True]


def test_an_image_at_the_center_is_no_trouble():
    held_out = np.array([0.0, 1.0, 2.0, 3.0, 2.0, 1.0])
    p = OwnImages.of(held_out).p_values(np.array([0.0, 2.0, 1e12]))
    assert np.isfinite(p).all()
    assert p[0] == 1


def test_an_image_near_any_prototype_is_not_rejected():
    p = np.array([[0.01, 0.5], [0.01, 0.01], [0.3, 0.02]])
    assert rejected(p, 0.05).tolist() == [False, True, False]
    assert not rejected(np.full((1, 2), 1e-12), 0.0).any()
