"""Rejection: about the promised share of known images, and all that is far."""

import numpy as np
import pytest
import torch

from moleflow.features.neighbors import left_out_distances, neighbor_distances
from moleflow.routing.rejection import OwnImages, can_reject, rejected


@pytest.mark.parametrize(("count", "rate"), [(49, 0.1), (150, 0.01), (49, 0.01), (20, 0.01), (8, 0.01), (8, 0.05)])
@pytest.mark.parametrize("channels", [6, 60])
def test_about_the_rate_of_a_known_products_images_is_rejected_and_what_is_far_is(count, rate, channels):
    """With few images too, where the share alone could never fall to the rate."""
    generator = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(60):
        normal, fresh = (torch.randn(images, channels, generator=generator) for images in (count, 200))
        own = OwnImages.of([left_out_distances(normal).numpy()])
        strangeness = neighbor_distances(fresh, normal).numpy()[:, None]
        p = own.p_values(strangeness[:, 0])[:, None]
        assert not rejected(p, strangeness, 0.0).any()
        shares.append(rejected(p, strangeness, rate).mean())
        assert own.p_values(np.array([1e6]))[0] < rate
    assert sum(shares) / len(shares) < 2.5 * rate


def test_stranger_images_have_smaller_p_values():
    session = np.random.default_rng(0).chisquare(20, 30)
    p = OwnImages.of([session]).p_values(np.linspace(0, 8 * session.max(), 400))
    assert (np.diff(p) <= 0).all()
    assert p[0] == 1
    assert p[-1] < 1e-3
    assert (OwnImages.of([session[:4]]).p_values(np.array([1e9])) == 1).all()
    assert [can_reject(count) for count in (4, 5)] == [False, True]


def test_the_most_lenient_session_decides():
    rng = np.random.default_rng(0)
    calm, shaken = rng.lognormal(0, 0.1, 50), rng.lognormal(1, 0.1, 16)
    strangeness = np.array([1.0, 2.7, 10.0])
    alone, both = OwnImages.of([calm]).p_values(strangeness), OwnImages.of([calm, shaken]).p_values(strangeness)
    assert (alone < 0.01).tolist() == [False, True, True]
    assert (both < 0.01).tolist() == [False, False, True]
    few = OwnImages.of([calm, shaken[:3]]).p_values(strangeness)
    np.testing.assert_array_equal(few, alone)


def test_a_product_of_too_few_training_images_rejects_nothing_by_changed_copies_either():
    session, changed = np.array([0.9, 1.0, 1.1, 1.2]), np.full(16, 1.0)
    assert (OwnImages.of([session, changed]).p_values(np.array([1.2, 1e9])) == 1).all()


def test_images_that_are_all_alike_do_not_reject_all_others():
    p = OwnImages.of([np.full(20, 2.0)]).p_values(np.array([2.05, 4.0]))
    assert p[0] > 0.1
    assert p[1] < 1e-6
    assert np.isfinite(OwnImages.of([np.zeros(20)]).p_values(np.array([0.0, 1.0]))).all()


def test_the_product_that_is_nearest_is_asked():
    p = np.array([[0.01, 0.5], [0.01, 0.01], [0.3, 0.02]])
    strangeness = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 3.0]])
    assert rejected(p, strangeness, 0.05).tolist() == [True, True, False]
    assert not rejected(np.full((1, 2), 1e-12), np.ones((1, 2)), 0.0).any()
