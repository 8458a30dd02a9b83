"""Experts of one or several members: who judges what, and what is refused."""

import numpy as np
import pytest
import torch

from moleflow.artifacts import ArtifactError
from moleflow.expert_statistics import Expert
from moleflow.experts import save_base, save_expert
from moleflow.flow.density import Density, expert_state
from moleflow.judging import Judge
from moleflow.memory import memorise
from moleflow.prototypes import build_prototype, save_prototype
from moleflow.scoring import Aggregation

ARGUMENTS = {
    "channels": 8, "couplings": 2, "clamp": 1.9, "position": "sincos", "spatial_mixer": "mixer",
    "scale_context_kernel": 3, "alignment": "whitening", "lora_rank": 2, "lora_alpha": 2.0, "dia_blocks": 2,
    "first": True, "seed": 0,
}  # fmt: skip
TOP = Aggregation("max", 3, 1.0, 90.0)


@pytest.fixture
def members():
    """Three experts that differ in every tensor."""
    generator = torch.Generator().manual_seed(0)
    state = expert_state(Density(**ARGUMENTS))
    return [
        {name: value + 0.1 * torch.randn(value.shape, generator=generator) for name, value in state.items()}
        for _ in range(3)
    ]


@pytest.fixture
def load(make_split, members, tmp_path, monkeypatch):
    """Writes a base, an expert with some of the members and a prototype; loads the expert."""
    monkeypatch.chdir(tmp_path)
    split = make_split(count=12)
    patching = {"neighbourhood": 1, "embed_dim": 8, "grid": 4, "layer_merge": "concat"}
    prototype = build_prototype(split, split, patching=patching, standardize="product", router_rank=4)
    save_prototype(tmp_path / "data/tasks/t0/bolt.safetensors", prototype)
    base = tmp_path / "data/experts/base.safetensors"
    save_base(base, Density(**ARGUMENTS), ARGUMENTS)

    def function(states=members):
        path = tmp_path / "data/experts/t0/bolt.safetensors"
        memories = [
            {"bolt": memorise(prototype.standardised(split), [8], size=5 + number, seed=0)}
            for number in range(len(states))
        ]
        save_expert(path, states, ARGUMENTS, memories=memories, base=base, features={"bolt": "f"})
        return Expert("bolt", "t0", torch.float32), prototype.standardised(split)

    return function


def test_every_image_is_judged_by_the_member_of_its_fold(load):
    expert, features = load()
    folds = np.array([2, 0, 1, 1, 0, 2, 2, 1, 0, 0, 1, 2])
    every, own = expert.statistics(features), expert.statistics_by_fold(features, folds)
    for half in ("nll", "latent", "log_det", "memory0"):
        assert every[half].shape == (3, 12, 4, 4)
        np.testing.assert_allclose(own[half], every[half][folds, np.arange(12)], rtol=1e-4, atol=1e-4)
        assert not np.allclose(every[half][0], every[half][1])


def test_likelihoods_are_those_of_the_patch_features_before_standardisation(load):
    expert, features = load()
    scaled = expert.members[0](features[:].float()).nll.numpy()
    np.testing.assert_allclose(expert.statistics(features)["nll"][0], scaled - expert.prototype.log_det(8), rtol=1e-4)


def test_verdicts_of_several_members_are_their_means(load):
    expert, features = load()
    folds = np.arange(12) % 3
    judge = Judge(("nll",), TOP, expert.statistics_by_fold(features, folds), folds, {}, np.empty(0, int))
    every = expert.statistics(features.take(np.arange(5)))
    verdicts = judge(every)
    normal = judge.calibration["nll"]
    standardised = (every["nll"].mean(0) - normal.mean()) / normal.std()
    np.testing.assert_allclose(verdicts.patch_score, standardised, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(verdicts.image_score, every["nll"].max((2, 3)).mean(0), rtol=1e-5)
    assert ((verdicts.p_value > 0) & (verdicts.p_value <= 1)).all()


def test_likelihoods_that_are_not_finite_name_product_image_and_statistic(load, members):
    broken = {name: torch.full_like(value, torch.nan) for name, value in members[0].items()}
    expert, features = load([broken])
    with pytest.raises(ArtifactError, match=r"bolt: nll of 000\.png is not finite; look at the image, or lower lr"):
        expert.statistics(features)


def test_every_statistic_is_checked_not_the_likelihood_alone(load):
    expert, features = load()
    expert.memories[1].patches[0][:] = torch.nan
    with pytest.raises(ArtifactError, match=r"bolt: memory0 of 004\.png is not finite"):
        expert.statistics(features.take(np.arange(4, 9)))
    with pytest.raises(ArtifactError, match=r"bolt: memory0 of 007\.png is not finite"):
        expert.statistics_by_fold(features.take(np.arange(4, 9)), np.array([0, 0, 2, 1, 1]))


def with_varied(rng, count=30):
    """Statistic a minds harmless changes, b does not."""
    normal = {part: rng.normal(size=(count, 4, 4)) for part in "ab"} | {"fold": np.zeros(count, int)}
    changed = {"a": rng.normal(8, 3, size=(2 * count, 4, 4)), "b": rng.normal(size=(2 * count, 4, 4))}
    return normal, changed | {"source": np.arange(2 * count) % count}


def test_what_harmless_changes_make_large_counts_little():
    """Fused against varied images too, b decides."""
    normal, varied = with_varied(np.random.default_rng(0))
    judged = {part: np.zeros((1, 2, 4, 4)) for part in "ab"}
    judged["a"][0, 0] += 12  # as a harmless change does
    judged["b"][0, 1] += 3
    plain, warned = (Judge.of(("a", "b"), TOP, normal, each) for each in ({}, varied))
    harmless, defect = plain(judged).image_score
    assert harmless > defect
    harmless, defect = warned(judged).image_score
    assert harmless < defect
    np.testing.assert_array_equal(plain(judged).patch_score, warned(judged).patch_score)
    assert plain.varied_scores.shape == (0,)
    assert warned.varied_scores.shape == (60,)
    assert np.median(warned.varied_scores) > np.median(warned.normal_scores)


def test_defects_are_found_although_changes_move_everything():
    """Held-out images lie below all varied ones; still none of them ties with another."""
    rng = np.random.default_rng(0)
    normal = {part: rng.normal(size=(30, 4, 4)) for part in "ab"} | {"fold": np.zeros(30, int)}
    varied = {part: normal[part] + 9 for part in "ab"} | {"source": np.arange(30)}
    judge = Judge.of(("a", "b"), TOP, normal, varied)
    fresh = {part: rng.normal(size=(1, 60, 4, 4)) for part in "ab"}
    for part in "ab":
        fresh[part][0, 30:, 2, 2] += 4
    score = judge(fresh).image_score
    assert len(np.unique(score)) == 60
    assert (score[30:, None] > score[:30]).mean() > 0.9


def test_a_held_out_image_meets_nothing_that_was_made_of_it():
    normal, varied = with_varied(np.random.default_rng(0))
    judge = Judge.of(("a", "b"), TOP, normal, varied)
    for row in (0, 17):
        others, unrelated = np.arange(30) != row, varied["source"] != row
        fewer = Judge.of(
            ("a", "b"),
            TOP,
            {part: values[others] for part, values in normal.items()},
            {part: values[unrelated] for part, values in varied.items()},
        )
        alone = {part: normal[part][None, row : row + 1] for part in "ab"}
        assert fewer(alone).image_score[0] == pytest.approx(judge.normal_scores[row])
        copies = varied["source"] == row
        changed = {part: varied[part][None, copies] for part in "ab"}
        np.testing.assert_allclose(fewer(changed).image_score, judge.varied_scores[copies])


def test_false_alarms_stay_at_or_below_the_rate_with_varied_images():
    rng = np.random.default_rng(0)
    below = []
    for _ in range(200):
        normal = {part: rng.normal(size=(19, 4, 4)) for part in "ab"} | {"fold": np.zeros(19, int)}
        sources = np.arange(38) % 19
        varied = {part: normal[part][sources] + rng.normal(0, 0.3, (38, 4, 4)) for part in "ab"} | {"source": sources}
        fresh = {part: rng.normal(size=(1, 40, 4, 4)) for part in "ab"}
        below.append((Judge.of(("a", "b"), TOP, normal, varied)(fresh).p_value <= 0.1).mean())
    assert 0.07 < np.mean(below) < 0.105


def test_folds_without_an_image_are_no_trouble(load):
    expert, features = load()
    own = expert.statistics_by_fold(features.take(np.arange(4)), np.array([2, 0, 0, 2]))
    every = expert.statistics(features.take(np.arange(4)))
    np.testing.assert_allclose(own["nll"], every["nll"][[2, 0, 0, 2], np.arange(4)], rtol=1e-4, atol=1e-4)
