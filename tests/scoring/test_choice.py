"""`score: probe` takes the candidate that tells painted defects best from normal images."""

import numpy as np
import pytest
from samples import NORMAL, normal_record

from moleflow.config.registry import ChoiceError
from moleflow.scoring.choice import CLEARLY, Told, chosen_score
from moleflow.scoring.scorer import Scorer
from moleflow.scoring.scores import CANDIDATES, MEMBERS, SCORES, Score, ScoreError

SETTINGS = {
    "aggregation": "top_k", "top_k": 1, "image_level": 0.0, "alarm_for": "session", "eval_size": 16, "map_sigma": 0.0,
}  # fmt: skip


def test_a_name_is_what_it_says():
    assert all(chosen_score(name, SETTINGS, normal_record(()), None) == score for name, score in SCORES.items())
    with pytest.raises(ChoiceError):
        chosen_score("loudest", SETTINGS, normal_record(()), None)


def painted(made, best):
    """Painted defects that the kinds of one candidate tell, and that hide from all others."""
    rng = np.random.default_rng(1)
    used = {member for kind in SCORES[best].image for member in MEMBERS.get(kind, (kind,))}
    for name in NORMAL:
        quiet = rng.normal(size=(40, 4, 4))
        made.arrays[f"probe/{name}"] = quiet + 1.0 if name.rstrip("0") in used else quiet - 3.0
    return made


@pytest.mark.parametrize("best", CANDIDATES)
def test_the_probe_takes_what_tells_painted_defects_best(best):
    chosen = chosen_score("probe", SETTINGS, painted(normal_record(NORMAL), best), None)
    assert chosen == Score(SCORES[best].image, SCORES["combined"].map)


def of_noise(seed):
    """Painted defects that distances tell, and likelihoods now more, now less."""
    rng, made = np.random.default_rng(seed), normal_record(NORMAL)
    for name in NORMAL:
        useful = 0.5 if name in ("memory0", "gaussian") else rng.uniform(-0.2, 0.5)
        made.arrays[f"probe/{name}"] = rng.normal(size=(40, 4, 4)) + useful
    return made


def test_a_candidate_that_is_better_by_chance_is_not_taken():
    first, by_chance = CANDIDATES[0], 0
    for seed in range(30):
        made = of_noise(seed)
        told = {name: Told.by(Scorer.of(SCORES[name], SETTINGS, made, pixels=False), made) for name in CANDIDATES}
        clear = [
            name
            for name in CANDIDATES[1:]
            if told[name].auroc > told[first].auroc + CLEARLY * told[name].error_beside(told[first])
        ]
        expected = max(clear, key=lambda name: told[name].auroc, default=first)
        assert chosen_score("probe", SETTINGS, made, None).image == SCORES[expected].image
        by_chance += not clear and max(each.auroc for each in told.values()) > told[first].auroc
    assert by_chance


@pytest.mark.parametrize("sessions", [1, 2])
def test_the_standard_error_is_that_of_other_images_of_the_same_kind(sessions):
    """Of two scores that draw the same images, over many draws."""
    rng, ahead, errors = np.random.default_rng(0), [], []
    for _ in range(3000):
        common, told = [1 + rng.normal(size=50), *(rng.normal(size=30) for _ in range(sessions))], []
        for _ in range(2):
            painted, *normal = (each + 0.7 * rng.normal(size=len(each)) for each in common)
            above = [painted[:, None] > each for each in normal]
            told.append(Told(np.mean([each.mean(1) for each in above], axis=0), [each.mean(0) for each in above]))
        one, other = told
        ahead.append(one.auroc - other.auroc)
        errors.append(one.error_beside(other))
    assert np.mean(errors) == pytest.approx(np.std(ahead), rel=0.1)


def test_training_images_count_in_no_comparison():
    """Some scores know them, as if left out; others do not."""
    made = of_noise(0)
    for name in ("memory0", "gaussian"):
        made.arrays[f"left_out/{name}"] = made.arrays[f"left_out/{name}"] + 5.0
    scorer = Scorer.of(SCORES["distances"], SETTINGS, made, pixels=False)
    assert [len(each) for each in Told.by(scorer, made).normal] == [30, 10]


def test_a_single_normal_image_says_nothing_of_chance():
    one, other = Told(np.full(5, 0.9), [np.array([0.9])]), Told(np.full(5, 0.1), [np.array([0.1])])
    assert one.error_beside(other) == np.inf


def test_without_gaussians_it_chooses_among_the_rest():
    made = normal_record((), ("memory0", "relative", "latent"))
    assert chosen_score("probe", SETTINGS, made, None).image == SCORES["memory_relative"].image
    with pytest.raises(ScoreError, match="nothing to choose from"):
        chosen_score("probe", SETTINGS, normal_record((), ("nll", "latent")), None)
