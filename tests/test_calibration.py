import math

import numpy as np
import pytest

from moleflow.calibration import alarm_threshold, p_values

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
