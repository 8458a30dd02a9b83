"""Aggregations rank a defect first, wherever it lies."""

import numpy as np
import pytest

from moleflow.config.registry import ChoiceError
from moleflow.scoring.aggregation import AGGREGATIONS, aggregate


def aggregated(name, scores, level=0.0):
    settings = {"aggregation": name, "top_k": 3, "top_percent": 10.0, "percentile": 90.0, "image_level": level}
    return aggregate(scores, settings)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_above_its_own_level_an_image_is_judged_alike_in_any_light(name):
    scores = np.random.default_rng(0).normal(size=(5, 6, 6))
    lifted = scores + np.arange(5.0)[:, None, None]
    np.testing.assert_allclose(aggregated(name, lifted, 25.0), aggregated(name, scores, 25.0))
    by_hand = scores - np.percentile(scores.reshape(5, -1), 25, axis=1)[:, None, None]
    np.testing.assert_allclose(aggregated(name, scores, 25.0), aggregated(name, by_hand))


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_every_aggregation_ranks_a_defect_first_and_ignores_where_it_lies(name):
    scores = np.random.default_rng(0).normal(size=(5, 6, 6))
    scores[3, 1:5, 1:5] += 5
    found = aggregated(name, scores)
    assert found.shape == (5,)
    assert found.argmax() == 3
    np.testing.assert_allclose(aggregated(name, scores[:, ::-1, ::-1]), found)
    np.testing.assert_allclose(aggregated(name, scores + 7), found + 7)  # negative likelihoods are no special case


def test_aggregations_by_hand():
    scores = np.arange(100.0).reshape(1, 10, 10)
    values = {name: aggregated(name, scores)[0] for name in AGGREGATIONS if name != "spatial_cluster"}
    assert values == pytest.approx({"top_k": 98, "top_k_percent": 94.5, "percentile": 89.1, "max": 99, "mean": 49.5})


def test_spatial_cluster_prefers_a_block_to_scattered_patches():
    block, scattered = np.zeros((2, 9, 9))
    block[3:6, 3:6] = 1
    scattered[::3, ::3] = 1
    low, high = aggregated("spatial_cluster", np.stack([scattered, block]))
    assert high > low


def test_unknown_aggregation_lists_the_choices():
    with pytest.raises(ChoiceError, match=", ".join(AGGREGATIONS)):
        aggregated("median", np.zeros((1, 2, 2)))


def test_a_single_patch_has_no_level():
    settings = {"aggregation": "max", "image_level": 25.0}
    assert aggregate(np.array([[[7.0]], [[9.0]]]), settings).tolist() == [7, 9]
