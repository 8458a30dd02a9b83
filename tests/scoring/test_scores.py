"""Scores: every one finds what is unusual in the statistics that it looks at."""

import numpy as np
import pytest
from samples import TOP3, image_scores, random_statistics, scorer_of

from moleflow.config.registry import ChoiceError
from moleflow.scoring.aggregation import aggregate
from moleflow.scoring.scores import SCORES, statistics_of


@pytest.mark.parametrize("name", SCORES)
def test_every_score_finds_what_is_unusual_in_all_statistics(name):
    shift = dict.fromkeys(("nll", "latent", "neg_log_det", "memory0", "memory1"), 6.0)
    parts = statistics_of(name, shift)
    normal, odd = (
        image_scores(parts, random_statistics(40, 0), random_statistics(20, 1, each)) for each in ({}, shift)
    )
    assert odd.min() > normal.max()


def test_a_score_looks_at_the_memory_of_every_layer_there_is():
    assert statistics_of("hybrid", ["memory1", "fold", "latent", "nll", "memory0"]) == (
        "nll", "latent", "memory0", "memory1",
    )  # fmt: skip
    assert statistics_of("hybrid", ["nll", "latent", "neg_log_det"]) == ()
    with pytest.raises(ChoiceError, match="score: 'sum' is unknown"):
        statistics_of("sum", ["nll"])


def test_single_scores_are_the_statistics_themselves():
    for name in ("nll", "latent", "log_det"):
        judged, (part,) = random_statistics(3, 1), SCORES[name]
        normal = random_statistics(9, 0)[part]
        standardized = (judged[part] - normal.mean()) / normal.std()
        np.testing.assert_allclose(scorer_of(SCORES[name], random_statistics(9, 0)).patch_scores(judged), standardized)
        np.testing.assert_array_equal(
            image_scores(SCORES[name], random_statistics(9, 0), judged), aggregate(judged[part], TOP3)
        )


@pytest.mark.parametrize("blind", ["nll", "neg_log_det"])
def test_fused_sees_what_one_half_alone_is_blind_to(blind):
    seeing = {"nll": "neg_log_det", "neg_log_det": "nll"}[blind]
    shift = {seeing: 8.0, blind: -1.0}
    normal, odd = (
        image_scores(SCORES["fused"], random_statistics(40, 0), random_statistics(20, 1, each)) for each in ({}, shift)
    )
    assert odd.min() > normal.max()
