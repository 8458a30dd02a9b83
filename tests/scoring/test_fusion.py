"""Fusion sums surprises, and judges no image against itself."""

import numpy as np
import pytest
from samples import image_scores, random_statistics, scorer_of

from moleflow.calibration.surprise import Reference
from moleflow.scoring.fusion import comparable_scores, fuse, scores_among_others
from moleflow.scoring.scores import SCORES


def fused(references, values):
    return fuse([Reference.of(normal) for normal in references], values)


def test_comparable_scores_rank_as_the_scores_do_and_have_no_ties():
    """Below every normal score too, where surprises are all alike."""
    rng = np.random.default_rng(0)
    normal, scores = rng.normal(size=30), np.sort(rng.normal(0, 3, 200))
    found = comparable_scores(Reference.of(normal), scores)
    assert (np.diff(found) > 0).all()
    above = scores >= normal.min()
    np.testing.assert_array_equal(found[above], Reference.of(normal).surprise(scores[above]))
    assert (np.diff(comparable_scores(Reference.of(np.ones(3)), np.array([0.0, 0.5, 1.0, 2.0]))) > 0).all()


def test_fuse_sums_surprises():
    references, values = [np.arange(50.0), np.arange(30.0)], [np.array([3.0]), np.array([90.0])]
    assert fused(references, values) == pytest.approx(
        sum(Reference.of(normal).surprise(value) for normal, value in zip(references, values, strict=True))
    )


def test_calibration_images_are_judged_against_the_others():
    """A threshold from the calibration images must not promise fewer false alarms than fresh normals raise."""
    rates = []
    for seed in range(200):
        held, fresh = random_statistics(20, 2 * seed), random_statistics(50, 2 * seed + 1)
        own = np.sort(scorer_of(SCORES["fused"], held).normal_scores)
        rates.append((image_scores(SCORES["fused"], held, fresh) > own[-2]).mean())
    assert 0.05 < np.mean(rates) <= 2 / 21


def test_an_image_is_not_judged_against_what_was_made_of_it():
    """Copies of an image among the reference would make it look ordinary."""
    rng, sources = np.random.default_rng(0), np.array([2, 0, 0])
    values = [rng.normal(size=4) for _ in range(2)]
    copies = [each[sources] for each in values]
    scores = scores_among_others(copies, sources, values, np.arange(4))
    for row in range(4):
        others = [each[sources != row] for each in copies]
        assert scores[row] == pytest.approx(fused(others, [each[row : row + 1] for each in values])[0])
    alone = scores_among_others(values, np.zeros(4, int), values, np.zeros(4, int))
    np.testing.assert_allclose(alone, fused(values, values))
