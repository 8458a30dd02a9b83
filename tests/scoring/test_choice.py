"""`score: probe` takes the candidate that tells painted defects best from normal images."""

import numpy as np
import pytest
from samples import NORMAL, normal_record

from moleflow.config.registry import ChoiceError
from moleflow.scoring.choice import AHEAD, chosen_score, told_apart
from moleflow.scoring.scorer import Scorer
from moleflow.scoring.scores import CANDIDATES, MEMBERS, SCORES, Score, ScoreError

SETTINGS = {
    "aggregation": "top_k", "top_k": 1, "image_level": 0.0, "alarm_for": "session", "eval_size": 16, "map_sigma": 0.0,
}  # fmt: skip


def test_a_name_is_what_it_says():
    assert all(chosen_score(name, SETTINGS, normal_record(()), None) == score for name, score in SCORES.items())
    with pytest.raises(ChoiceError):
        chosen_score("loudest", SETTINGS, normal_record(()), None)


def painted(made, best, by=1.0):
    """Painted defects that the kinds of one candidate tell by so much, and that hide from all others."""
    rng = np.random.default_rng(1)
    used = {member for kind in SCORES[best].image for member in MEMBERS.get(kind, (kind,))}
    for name in NORMAL:
        quiet = rng.normal(size=(40, 4, 4))
        made.arrays[f"probe/{name}"] = quiet + by if name.rstrip("0") in used else quiet - 3.0
    return made


@pytest.mark.parametrize("best", CANDIDATES)
def test_the_probe_takes_what_tells_painted_defects_best(best):
    chosen = chosen_score("probe", SETTINGS, painted(normal_record(NORMAL), best), None)
    assert chosen == Score(SCORES[best].image, SCORES["combined"].map)


def test_a_candidate_that_is_better_by_chance_is_not_taken():
    """The first one stays unless another is ahead by more than chance."""
    first, stayed = CANDIDATES[0], []
    for seed in range(30):
        rng, made = np.random.default_rng(seed), normal_record(NORMAL)
        for name in NORMAL:
            useful = 0.5 if name in ("memory0", "gaussian") else rng.uniform(-0.2, 0.5)
            made.arrays[f"probe/{name}"] = rng.normal(size=(40, 4, 4)) + useful
        told = {name: told_apart(Scorer.of(SCORES[name], SETTINGS, made, pixels=False), made) for name in CANDIDATES}
        best = max(told, key=lambda name: told[name])
        ahead = told[best] - told[first]
        expected = best if ahead > AHEAD else first
        assert chosen_score("probe", SETTINGS, made, None).image == SCORES[expected].image
        stayed.append(expected == first and ahead > 0)
    assert 0 < sum(stayed) < 30


def test_without_gaussians_it_chooses_among_the_rest():
    made = normal_record((), ("memory0", "relative", "latent"))
    assert chosen_score("probe", SETTINGS, made, None).image == SCORES["memory_relative"].image
    with pytest.raises(ScoreError, match="nothing to choose from"):
        chosen_score("probe", SETTINGS, normal_record((), ("nll", "latent")), None)
