"""Experts of one or several members: who judges what, and what is refused."""

import numpy as np
import pytest
import torch

from moleflow.artifacts import ArtifactError
from moleflow.expert_statistics import Expert
from moleflow.experts import save_base, save_expert
from moleflow.flow.density import Density, expert_state
from moleflow.memory import memorise
from moleflow.prototypes import build_prototype, save_prototype
from moleflow.scorer import Scorer
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
    scorer = Scorer.of(("nll",), TOP, expert.statistics_by_fold(features, folds) | {"fold": folds}, {})
    every = expert.statistics(features.take(np.arange(5)))
    verdicts = scorer(every)
    normal = scorer.patches["nll"]
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


def test_folds_without_an_image_are_no_trouble(load):
    expert, features = load()
    own = expert.statistics_by_fold(features.take(np.arange(4)), np.array([2, 0, 0, 2]))
    every = expert.statistics(features.take(np.arange(4)))
    np.testing.assert_allclose(own["nll"], every["nll"][[2, 0, 0, 2], np.arange(4)], rtol=1e-4, atol=1e-4)
