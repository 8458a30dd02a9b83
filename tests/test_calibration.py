import math

import numpy as np
import pytest
import torch

from moleflow.calibration import alarm_threshold, cross_p_values, fold_numbers, p_values
from moleflow.prototypes import build_prototype
from moleflow.store import NORMAL, Origin, open_split, write_split
from stages.train import _cross

CALIBRATION = np.arange(1.0, 20.0)  # 19 images


def test_p_values_by_hand():
    assert p_values(CALIBRATION, np.array([0.0, 10.0, 19.0, 20.0])) == pytest.approx([1.0, 11 / 20, 2 / 20, 1 / 20])


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.15, 0.5])
def test_threshold_and_p_value_say_the_same(rate):
    scores = np.linspace(-1, 21, 500)
    alarms = scores > alarm_threshold(CALIBRATION, rate)
    assert (alarms == (p_values(CALIBRATION, scores) <= rate + 1e-12)).all()


def test_too_few_images_raise_no_alarm_rather_than_a_false_one():
    assert alarm_threshold(CALIBRATION[:18], 0.05) == math.inf
    assert alarm_threshold(CALIBRATION, 0.05) == 19.0


def test_false_alarms_keep_the_rate():
    rng = np.random.default_rng(0)
    rates = [(rng.normal(size=400) > alarm_threshold(rng.normal(size=40), 0.1)).mean() for _ in range(300)]
    assert np.mean(rates) == pytest.approx(4 / 41, abs=0.01)  # floor(0.1 · 41) / 41


def test_folds_are_nearly_equal_and_always_the_same():
    numbers = fold_numbers(23, 5)
    assert sorted(np.bincount(numbers).tolist()) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(numbers, fold_numbers(23, 5))


def test_cross_p_values_of_one_fold_are_the_plain_ones():
    scores = np.linspace(-1, 21, 50)
    crossed = cross_p_values(CALIBRATION, np.zeros(19, int), scores[None])
    np.testing.assert_allclose(crossed, p_values(CALIBRATION, scores))


def test_cross_p_values_compare_a_member_with_its_own_fold_only():
    calibration, folds = np.array([1.0, 2.0, 10.0, 20.0]), np.array([0, 0, 1, 1])
    scores = np.array([[1.5], [15.0]])  # one image, judged by both members
    assert cross_p_values(calibration, folds, scores) == pytest.approx([(1 + 1 + 1) / 5])


def test_cross_calibration_keeps_the_rate():
    """The statistic of a fold's member is the distance to the mean of the other folds."""
    rng, rates = np.random.default_rng(0), []
    for _ in range(200):
        normal, fresh = rng.normal(size=40), rng.normal(size=100)
        folds = fold_numbers(40, 5)
        centers = np.array([normal[folds != fold].mean() for fold in range(5)])
        crossed = cross_p_values(abs(normal - centers[folds]), folds, abs(fresh - centers[:, None]))
        rates.append((crossed <= 0.1).mean())
    assert np.mean(rates) == pytest.approx(0.1, abs=0.02)


def test_no_member_learns_from_its_fold_nor_from_turned_copies_of_it(tmp_path, monkeypatch):
    """Every picture is a constant, its copies in the store's group rotated the same one."""
    monkeypatch.chdir(tmp_path)
    pictures = {"train": range(1, 11), "rotated": [*range(1, 11)] * 3, "calibration": range(11, 15)}
    splits = {}
    for group, numbers in pictures.items():
        maps = torch.tensor(list(numbers)).float().reshape(-1, 1, 1, 1).expand(-1, 4, 2, 2)
        store, names = tmp_path / "data/features/bolt.zarr", [f"{number}.png" for number in numbers]
        write_split(store / group, Origin("b", "0", [1], 8, "stretch"), names, [[maps]])
        splits[group] = open_split(store, group)
    patching = {"neighbourhood": 1, "embed_dim": 4, "grid": 2, "layer_merge": "concat"}
    prototype = build_prototype(
        *(splits[group] for group in NORMAL), patching=patching, standardize="none", router_rank=2
    )
    members = _cross({"bolt": prototype}, 4)
    folds = fold_numbers(14, 4)
    assert len(members) == 4
    for fold, features in enumerate(members):
        learnt = set(features["bolt"][:][:, 0, 0, 0].int().tolist())
        assert learnt == {number for number, its in enumerate(folds, start=1) if its != fold}
        assert len(features["bolt"]) == sum((4 if number <= 10 else 1) for number in learnt)
