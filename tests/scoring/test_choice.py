"""`score: probe` takes the candidate that tells painted defects best from normal images."""

import numpy as np
import pytest
from samples import NORMAL, normal_record

from moleflow.config.registry import ChoiceError
from moleflow.scoring.choice import chosen_score
from moleflow.scoring.scores import CANDIDATES, SCORES, Score, ScoreError

SETTINGS = {
    "aggregation": "top_k", "top_k": 1, "image_level": 0.0, "alarm_for": "session", "eval_size": 16, "map_sigma": 0.0,
}  # fmt: skip


def test_a_name_is_what_it_says():
    assert all(chosen_score(name, SETTINGS, normal_record(()), None) == score for name, score in SCORES.items())
    with pytest.raises(ChoiceError):
        chosen_score("loudest", SETTINGS, normal_record(()), None)


@pytest.mark.parametrize("best", CANDIDATES)
def test_the_probe_takes_what_tells_painted_defects_best(best):
    rng = np.random.default_rng(1)
    made = normal_record(NORMAL)
    for name in NORMAL:
        kind = name.rstrip("0")
        quiet = rng.normal(size=(40, 4, 4))
        used = kind in SCORES[best].image
        made.arrays[f"probe/{name}"] = quiet + 1.0 if used else quiet - 3.0
    assert chosen_score("probe", SETTINGS, made, None) == Score(SCORES[best].image, SCORES["combined"].map)


def test_without_gaussians_it_chooses_among_the_rest():
    made = normal_record((), ("memory0", "relative", "latent"))
    assert chosen_score("probe", SETTINGS, made, None).image == SCORES["memory"].image
    with pytest.raises(ScoreError, match="nothing to choose from"):
        chosen_score("probe", SETTINGS, normal_record((), ("nll", "latent")), None)
