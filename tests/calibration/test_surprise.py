"""Surprise: minus log p, with a tail that never ends."""

import numpy as np
import pytest

from moleflow.calibration.surprise import Reference


def test_surprise_is_minus_log_p_with_a_pareto_tail():
    reference = np.arange(1000.0)
    start, excess = 899.1, np.mean(np.arange(900, 1000) - 899.1)
    assert Reference.of(reference).surprise(np.array([499.5])) == pytest.approx(-np.log(0.5), abs=0.01)
    beyond = 0.1 * (1 + 0.5 * 5000 / (0.5 * excess)) ** -2
    assert Reference.of(reference).surprise(np.array([start + 5000])) == pytest.approx(-np.log(beyond))


def test_surprise_never_falls_and_has_no_ties_in_the_tail():
    reference = np.random.default_rng(0).normal(size=50)
    values = Reference.of(reference).surprise(np.linspace(-5, 50, 1000))
    assert (np.diff(values) >= 0).all()
    assert (np.diff(values[-800:]) > 0).all()
    assert np.isfinite(Reference.of(np.ones(5)).surprise(np.array([0.0, 1.0, 2.0]))).all()
