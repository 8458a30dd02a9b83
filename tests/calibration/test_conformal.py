"""p-values and thresholds keep the promised rate of false alarms."""

import math

import numpy as np
import pytest

from moleflow.calibration.conformal import alarm_threshold, images_needed, p_values
from moleflow.features.folds import fold_numbers

CALIBRATION = np.arange(1.0, 20.0)  # 19 images


def plain(calibration, scores):
    """Of one fold, equal weights."""
    return p_values(calibration, np.ones(len(calibration)), np.zeros(len(calibration), int), scores[None])


def threshold(calibration, rate):
    return alarm_threshold(calibration, np.ones(len(calibration)), rate)


def test_p_values_by_hand():
    assert plain(CALIBRATION, np.array([0.0, 10.0, 19.0, 20.0])) == pytest.approx([1.0, 11 / 20, 2 / 20, 1 / 20])


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.15, 0.5])
def test_threshold_and_p_value_say_the_same(rate):
    scores = np.linspace(-1, 21, 500)
    alarms = scores > threshold(CALIBRATION, rate)
    assert (alarms == (plain(CALIBRATION, scores) <= rate + 1e-12)).all()


def test_too_few_images_raise_no_alarm_rather_than_a_false_one():
    assert threshold(CALIBRATION[:18], 0.05) == math.inf
    assert threshold(CALIBRATION, 0.05) == 19.0


def test_false_alarms_keep_the_rate():
    rng = np.random.default_rng(0)
    rates = [(rng.normal(size=400) > threshold(rng.normal(size=40), 0.1)).mean() for _ in range(300)]
    assert np.mean(rates) == pytest.approx(4 / 41, abs=0.01)  # floor(0.1 · 41) / 41


def test_an_image_counts_as_often_as_it_weighs():
    weights = np.where(CALIBRATION > 15, 3.0, 1.0)
    scores = np.linspace(-1, 21, 50)
    weighted = p_values(CALIBRATION, weights, np.zeros(19, int), scores[None])
    np.testing.assert_allclose(weighted, plain(np.repeat(CALIBRATION, weights.astype(int)), scores))
    for rate in (0.05, 0.15, 0.3, 0.6):
        assert ((scores > alarm_threshold(CALIBRATION, weights, rate)) == (weighted <= rate)).all()


def test_an_image_without_weight_does_not_count():
    weights, scores = (CALIBRATION <= 10).astype(float), np.linspace(-1, 21, 50)
    np.testing.assert_allclose(
        p_values(CALIBRATION, weights, np.zeros(19, int), scores[None]), plain(CALIBRATION[:10], scores)
    )
    assert alarm_threshold(CALIBRATION, weights, 0.2) == threshold(CALIBRATION[:10], 0.2)


@pytest.mark.parametrize("rate", [0.05, 0.01, 0.03, 0.3, 0.15, 0.5])
def test_the_number_of_images_that_is_said_is_the_number_that_is_needed(rate):
    needed = images_needed(rate)
    assert np.isfinite(threshold(np.arange(needed, dtype=float), rate))
    assert needed == 1 or np.isinf(threshold(np.arange(needed - 1, dtype=float), rate))


def test_p_values_compare_a_density_with_its_own_fold_only():
    calibration, folds = np.array([1.0, 2.0, 10.0, 20.0]), np.array([0, 0, 1, 1])
    scores = np.array([[1.5], [15.0]])  # one image, judged by the densities of both folds
    assert p_values(calibration, np.ones(4), folds, scores) == pytest.approx([(1 + 1 + 1) / 5])


def test_cross_calibration_keeps_the_rate():
    """The statistic of a fold is the distance to the mean of the other folds."""
    rng, rates = np.random.default_rng(0), []
    for _ in range(200):
        normal, fresh = rng.normal(size=40), rng.normal(size=100)
        folds = fold_numbers(40, 5)
        centers = np.array([normal[folds != fold].mean() for fold in range(5)])
        crossed = p_values(abs(normal - centers[folds]), np.ones(40), folds, abs(fresh - centers[:, None]))
        rates.append((crossed <= 0.1).mean())
    assert np.mean(rates) == pytest.approx(0.1, abs=0.02)
