"""Promises: which normal images count, and how much."""

import numpy as np
import pytest

from moleflow.calibration.conformal import p_values
from moleflow.calibration.promises import PROMISES, session, shifted


def test_only_unchanged_images_count_for_their_own_session():
    assert session(np.array([0, 0, 1, 2]), np.array([0, 1, 0, 1])).tolist() == [1, 1, 0, 0]


def test_every_session_weighs_alike_and_all_as_much_as_what_they_are_made_from():
    sessions, sources = np.repeat([0, 1, 2], [10, 4, 2]), np.array([*range(10), 0, 1, 2, 3, 0, 1])
    weights = shifted(sessions, sources)
    assert weights.sum() == pytest.approx(4)
    for number in range(3):
        assert weights[sessions == number].sum() == pytest.approx(4 / 3)


@pytest.mark.parametrize("promise", PROMISES.values(), ids=list(PROMISES))
def test_without_changes_all_images_count_once(promise):
    np.testing.assert_allclose(promise(np.zeros(5, int), np.arange(5)), np.ones(5))


@pytest.mark.parametrize("images", [4, 10, 40])
def test_copies_of_a_few_images_promise_no_more_than_these_do(images):
    """Sixteen changed copies each of four kinds; a new image has gone through any of the sessions."""
    rng, rates = np.random.default_rng(0), []
    for _ in range(400):
        own = rng.normal(size=images)
        sources = np.concatenate([np.arange(images), np.arange(64) % images])
        sessions = np.repeat(range(5), [images, 16, 16, 16, 16])
        normal = own[sources] + 0.5 * sessions
        fresh = rng.normal(size=200) + 0.5 * rng.integers(0, 5, 200)
        found = p_values(normal, shifted(sessions, sources), np.zeros(len(normal), int), fresh[None])
        rates.append((found <= 0.05).mean())
    assert np.mean(rates) < 0.06
