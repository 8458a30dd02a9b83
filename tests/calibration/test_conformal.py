"""p-values and thresholds keep the promised rate of false alarms."""

import math

import numpy as np
import pytest

from moleflow.calibration.conformal import alarm_threshold, cross_p_values, p_values
from moleflow.features.folds import fold_numbers

CALIBRATION = np.arange(1.0, 20.0)  # 19 images


def test_p_values_by_hand():
    assert p_values(CALIBRATION, np.array([0.0, 10.0, 19.0, 20.0])) == pytest.approx([1.0, 11 / 20, 2 / 20, 1 / 20])


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.15, 0.5])
def test_threshold_and_p_value_say_the_same(rate):
    scores = np.linspace(-1, 21, 500)
    alarms = scores > alarm_threshold(CALIBRATION, rate)
    assert (alarms == (p_values(CALIBRATION, scores) <= rate + 1e-12)).all()


def test_too_few_images_raise_no_alarm_rather_than_a_false_one():
    assert alarm_threshold(CALIBRATION[:18], 0.05) == math.inf
    assert alarm_threshold(CALIBRATION, 0.05) == 19.0


def test_false_alarms_keep_the_rate():
    rng = np.random.default_rng(0)
    rates = [(rng.normal(size=400) > alarm_threshold(rng.normal(size=40), 0.1)).mean() for _ in range(300)]
    assert np.mean(rates) == pytest.approx(4 / 41, abs=0.01)  # floor(0.1 · 41) / 41


def test_cross_p_values_of_one_fold_are_the_plain_ones():
    scores = np.linspace(-1, 21, 50)
    crossed = cross_p_values(CALIBRATION, np.zeros(19, int), scores[None])
    np.testing.assert_allclose(crossed, p_values(CALIBRATION, scores))


def test_cross_p_values_compare_a_density_with_its_own_fold_only():
    calibration, folds = np.array([1.0, 2.0, 10.0, 20.0]), np.array([0, 0, 1, 1])
    scores = np.array([[1.5], [15.0]])  # one image, judged by the densities of both folds
    assert cross_p_values(calibration, folds, scores) == pytest.approx([(1 + 1 + 1) / 5])


def test_cross_calibration_keeps_the_rate():
    """The statistic of a fold is the distance to the mean of the other folds."""
    rng, rates = np.random.default_rng(0), []
    for _ in range(200):
        normal, fresh = rng.normal(size=40), rng.normal(size=100)
        folds = fold_numbers(40, 5)
        centers = np.array([normal[folds != fold].mean() for fold in range(5)])
        crossed = cross_p_values(abs(normal - centers[folds]), folds, abs(fresh - centers[:, None]))
        rates.append((crossed <= 0.1).mean())
    assert np.mean(rates) == pytest.approx(0.1, abs=0.02)
