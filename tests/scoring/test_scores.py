"""Scores: every one finds what is unusual in the statistics that it looks at."""

import numpy as np
import pytest
from samples import STATISTICS, TOP3, image_scores, random_statistics, scorer_of

from moleflow.config.registry import ChoiceError, choose
from moleflow.files.record_file import Record
from moleflow.scoring.aggregation import aggregate
from moleflow.scoring.scorer import Scorer
from moleflow.scoring.scores import SCORES, Score, ScoreError, judging, needed, statistics_of


@pytest.mark.parametrize("score", SCORES.values(), ids=list(SCORES))
def test_every_score_finds_what_is_unusual_in_all_statistics(score):
    shift = dict.fromkeys(STATISTICS, 6.0)
    normal, odd = (
        image_scores(score, random_statistics(40, 0), random_statistics(20, 1, each)) for each in ({}, shift)
    )
    assert odd.min() > normal.max()


def test_a_score_looks_at_the_memory_of_every_layer_there_is():
    kinds = SCORES["hybrid"].image
    found = ["memory1", "fold", "latent", "nll", "memory0"]
    assert statistics_of(kinds, found) == (("nll",), ("latent",), ("memory0", "memory1"))
    with pytest.raises(ScoreError, match="there is no memory statistic to score by; set memory_size above 0"):
        statistics_of(kinds, ["nll", "latent", "neg_log_det"])
    with pytest.raises(ChoiceError, match="score: 'sum' is unknown"):
        choose(SCORES, "sum", "score")


def test_there_is_no_scorer_without_a_statistic_that_its_score_reads():
    arrays = {"calibration/memory0": np.zeros((3, 4, 4)), "calibration/fold": np.zeros(3, int)}
    with pytest.raises(ScoreError, match="there is no gaussians statistic to score by; set gaussian_rank above 0"):
        statistics_of(SCORES["combined_relative"].image, ["memory0", "gaussian", "relative"])
    with pytest.raises(ScoreError, match="there is no gaussian statistic to score by; set gaussian_rank above 0"):
        Scorer.of(SCORES["distances"], TOP3, Record(arrays, {}))
    assert needed(SCORES["distances"]) == ["gaussian_rank", "memory_size"]
    assert needed(SCORES["fused"]) == []


def test_single_scores_are_the_statistics_themselves():
    for name in ("nll", "latent", "log_det"):
        judged, (part,) = random_statistics(3, 1), SCORES[name].image
        normal = random_statistics(9, 0)[part]
        standardized = (judged[part] - normal.mean()) / normal.std()
        scorer = scorer_of(SCORES[name], random_statistics(9, 0))
        np.testing.assert_allclose(scorer.patch_scores(judged), standardized)
        np.testing.assert_allclose(scorer.image_scores(judged), aggregate(standardized, TOP3))


@pytest.mark.parametrize("blind", ["nll", "neg_log_det"])
def test_fused_sees_what_one_half_alone_is_blind_to(blind):
    seeing = {"nll": "neg_log_det", "neg_log_det": "nll"}[blind]
    shift = {seeing: 8.0, blind: -1.0}
    normal, odd = (
        image_scores(SCORES["fused"], random_statistics(40, 0), random_statistics(20, 1, each)) for each in ({}, shift)
    )
    assert odd.min() > normal.max()


def test_the_layers_of_a_memory_weigh_together_as_much_as_the_gaussians():
    normal = random_statistics(200, 0)
    scorer = scorer_of(SCORES["distances"], normal)
    judged = {name: np.full((1, 4, 4), values.mean()) for name, values in normal.items()}
    before = scorer.image_scores(judged)
    by_layer = scorer.image_scores(judged | {"memory0": judged["memory0"] + normal["memory0"].std()})
    by_gaussian = scorer.image_scores(judged | {"gaussian": judged["gaussian"] + normal["gaussian"].std()})
    assert by_layer - before == pytest.approx(0.5, abs=1e-3)
    assert by_gaussian - before == pytest.approx(1.0, abs=1e-3)


def test_both_readings_of_the_gaussians_weigh_together_as_much_as_the_flow():
    normal = random_statistics(200, 0)
    scorer = scorer_of(SCORES["combined_relative"], normal)
    judged = {name: np.full((1, 4, 4), values.mean()) for name, values in normal.items()}
    before = scorer.image_scores(judged)
    by = {name: scorer.image_scores(judged | {name: judged[name] + normal[name].std()}) - before for name in normal}
    assert by["gaussian"] == pytest.approx(0.5, abs=1e-3)
    assert by["relative_gaussian"] == pytest.approx(0.5, abs=1e-3)
    assert by["relative"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", SCORES)
def test_a_scorer_knows_the_score_that_it_was_made_of(name):
    assert scorer_of(SCORES[name], random_statistics(9, 0)).score == SCORES[name]


def test_a_score_is_named_by_what_judges_images_whatever_draws_its_map():
    assert all(judging(score) == name for name, score in SCORES.items())
    assert judging(Score(SCORES["memory"].image, SCORES["combined_relative"].map)) == "memory"
    assert judging(Score(("nll", "memory"), ("memory",))) == "nll, memory"
