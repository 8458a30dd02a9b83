"""Fusion: statistics in standard deviations add up to an image's score, surprises to its map."""

import numpy as np
import pytest
from samples import image_scores, random_statistics, scorer_of

from moleflow.calibration.surprise import Reference
from moleflow.scoring.fusion import comparable_scores, summed, surprises
from moleflow.scoring.scores import SCORES

PARTS = (("a",), ("b",))


def test_comparable_scores_rank_as_the_scores_do_and_have_no_ties():
    """Below every normal score too, where surprises are all alike."""
    rng = np.random.default_rng(0)
    normal, scores = rng.normal(size=30), np.sort(rng.normal(0, 3, 200))
    found = comparable_scores(Reference.of(normal), scores)
    assert (np.diff(found) > 0).all()
    above = scores >= normal.min()
    np.testing.assert_array_equal(found[above], Reference.of(normal).surprise(scores[above]))
    assert (np.diff(comparable_scores(Reference.of(np.ones(3)), np.array([0.0, 0.5, 1.0, 2.0]))) > 0).all()


def test_maps_add_up_surprises():
    references = {"a": Reference.of(np.arange(50.0)), "b": Reference.of(np.arange(30.0))}
    values = {"a": np.array([3.0]), "b": np.array([90.0])}
    expected = sum(references[part].surprise(values[part]) for part in "ab")
    assert surprises(PARTS, references, values) == pytest.approx(expected)


def test_no_statistic_drowns_the_others_in_a_map_but_it_may_decide_an_image():
    """One that shouts at a single patch, and two that agree on another."""
    rng = np.random.default_rng(0)
    references = {part: Reference.of(rng.normal(size=1000)) for part in "ab"}
    values = {"a": np.array([60.0, 8.0]), "b": np.array([0.0, 8.0])}
    loud, agreed = surprises(PARTS, references, values)
    assert loud < agreed
    loud, agreed = summed(PARTS, references, values)
    assert loud > agreed


def test_calibration_images_promise_no_fewer_false_alarms_than_fresh_normals_raise():
    rates = []
    for seed in range(200):
        held, fresh = random_statistics(20, 2 * seed), random_statistics(50, 2 * seed + 1)
        own = np.sort(scorer_of(SCORES["fused"], held).unchanged_scores)
        rates.append((image_scores(SCORES["fused"], held, fresh) > own[-2]).mean())
    assert np.mean(rates) == pytest.approx(2 / 21, abs=0.015)
