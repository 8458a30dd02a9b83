"""`score: probe` takes the candidate that tells painted defects best from normal images."""

import numpy as np
import pytest

from moleflow.config.registry import ChoiceError
from moleflow.files.record_file import Record
from moleflow.scoring.choice import chosen_score
from moleflow.scoring.scores import CANDIDATES, SCORES, ScoreError

SETTINGS = {
    "aggregation": "top_k", "top_k": 1, "image_level": 0.0, "alarm_for": "session", "eval_size": 16, "map_sigma": 0.0,
}  # fmt: skip
STATISTICS = ("memory0", "gaussian", "relative", "latent")


def record(telling, statistics=STATISTICS):
    """Statistics that are noise, but for those that tell painted defects."""
    rng = np.random.default_rng(0)
    arrays = {}
    for group, count in (("calibration", 30), ("perturbed", 10), ("left_out", 50), ("probe", 40)):
        for name in statistics:
            if group == "left_out" and name not in ("memory0", "gaussian"):
                continue
            shift = 3.0 * (group == "probe" and name in telling)
            # What tells nothing is loud where a defect is painted, and so drowns what does.
            loud = 20.0 if group == "probe" and name not in telling else 1.0
            arrays[f"{group}/{name}"] = shift + loud * rng.normal(size=(count, 4, 4))
    arrays["calibration/fold"] = np.zeros(30, int)
    arrays["perturbed/fold"] = np.zeros(10, int)
    arrays["perturbed/session"] = np.ones(10, int)
    arrays["perturbed/source"] = np.arange(10)
    return Record(arrays, {})


def test_a_name_is_what_it_says():
    assert all(chosen_score(name, SETTINGS, record(())) == score for name, score in SCORES.items())
    with pytest.raises(ChoiceError):
        chosen_score("loudest", SETTINGS, record(()))


@pytest.mark.parametrize("best", CANDIDATES)
def test_the_probe_takes_what_tells_painted_defects_best(best):
    rng = np.random.default_rng(1)
    made = record(STATISTICS)
    for name in STATISTICS:
        kind = name.rstrip("0")
        quiet = rng.normal(size=(40, 4, 4))
        used = kind in SCORES[best].image
        made.arrays[f"probe/{name}"] = quiet + 1.0 if used else quiet - 3.0
    assert chosen_score("probe", SETTINGS, made) == SCORES[best]


def test_without_gaussians_it_chooses_among_the_rest():
    assert chosen_score("probe", SETTINGS, record((), ("memory0", "relative", "latent"))) == SCORES["memory"]
    with pytest.raises(ScoreError, match="nothing to choose from"):
        chosen_score("probe", SETTINGS, record((), ("nll", "latent")))
