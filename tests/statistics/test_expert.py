"""Experts of one or several folds: who judges what, and what is refused."""

import numpy as np
import pytest
import torch
from samples import CPU, TOP, density_arguments, scorer_of

from moleflow.features.memory_bank import MemoryBank
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.prototype import build_prototype, save_prototype
from moleflow.files.artifacts import ArtifactError
from moleflow.files.paths import Paths
from moleflow.flow.density import Density, expert_state
from moleflow.flow.expert_files import save_base, save_expert
from moleflow.flow.lora import LoRALinear
from moleflow.flow.relative import relative_likelihood
from moleflow.scoring.scores import SCORES
from moleflow.statistics.expert import Expert, patch_statistics

ARGUMENTS = density_arguments(couplings=2)


@pytest.fixture
def states():
    """The expert's tensors of three folds, which differ in every tensor."""
    generator = torch.Generator().manual_seed(0)
    state = expert_state(Density(**ARGUMENTS))
    return [
        {name: value + 0.1 * torch.randn(value.shape, generator=generator) for name, value in state.items()}
        for _ in range(3)
    ]


@pytest.fixture
def load(make_split, states, tmp_path):
    """Writes a base, an expert of some folds and a prototype; loads the expert."""
    paths = Paths(tmp_path)
    split = make_split(count=12)
    patching = {"neighborhood": 1, "embed_dim": 8, "grid": 4, "layer_merge": "concat"}
    prototype = build_prototype(split, split, patching=patching, standardize="product", router_rank=4, device=CPU)
    save_prototype(paths.prototype_of("bolt", "t0"), prototype)
    save_base(paths.base, Density(**ARGUMENTS), ARGUMENTS)

    def function(states=states, orientations=1):
        normal = prototype.standardized(split)
        normal_patches = [
            {
                "bolt": NormalPatches.of(
                    normal, [8], memory_size=5 + number, memory_center="none", gaussian_rank=1 + number
                )
            }
            for number in range(len(states))
        ]
        density = Density(**ARGUMENTS)
        relatives = [
            {"bolt": relative_likelihood(density, state, normal, kept["bolt"], torch.float32)}
            for state, kept in zip(states, normal_patches, strict=True)
        ]
        path, links = paths.experts / "t0/bolt.safetensors", {"base": paths.base, "features": {"bolt": "f"}}
        save_expert(path, states, ARGUMENTS, normal_patches=normal_patches, relatives=relatives, **links)
        judging = {"dtype": torch.float32, "orientations": orientations}
        return Expert(paths, "bolt", "t0", prototype, **judging), prototype.standardized(split)

    return function


def judged(expert, features):
    return expert.statistics(features, features.images)


def test_every_image_is_judged_by_the_density_of_its_fold(load):
    expert, features = load()
    folds = np.array([2, 0, 1, 1, 0, 2, 2, 1, 0, 0, 1, 2])
    every, own = judged(expert, features), expert.statistics_by_fold(features, folds)
    for part in ("nll", "latent", "neg_log_det", "memory0", "gaussian", "relative"):
        assert every[part].shape == (3, 12, 4, 4)
        np.testing.assert_allclose(own[part], every[part][folds, np.arange(12)], rtol=1e-4, atol=1e-4)
        assert not np.allclose(every[part][0], every[part][1])


def test_likelihoods_are_those_of_the_patch_features_before_standardization(load):
    expert, features = load()
    scaled = expert.densities[0](features[:].float()).nll.numpy()
    np.testing.assert_allclose(judged(expert, features)["nll"][0], scaled - expert.prototype.log_det(8), rtol=1e-4)


def test_predictions_of_several_folds_are_their_means(load):
    expert, features = load()
    folds = np.arange(12) % 3
    held_out = expert.statistics_by_fold(features, folds)
    scorer = scorer_of(SCORES["nll"], held_out, settings=TOP, fold=folds)
    every = judged(expert, features.take(np.arange(5)))
    predictions = scorer(every)
    normal = held_out["nll"]
    standardized = (every["nll"].mean(0) - normal.mean()) / normal.std()
    np.testing.assert_allclose(predictions.patch_score, standardized, rtol=1e-4, atol=1e-5)
    highest = (every["nll"].max((2, 3)).mean(0) - normal.mean()) / normal.std()
    np.testing.assert_allclose(predictions.image_score, highest, rtol=1e-4, atol=1e-5)
    assert ((predictions.p_value > 0) & (predictions.p_value <= 1)).all()


def test_likelihoods_that_are_not_finite_name_product_image_and_statistic(load, states):
    broken = {name: torch.full_like(value, torch.nan) for name, value in states[0].items()}
    expert, features = load([broken])
    with pytest.raises(ArtifactError, match=r"bolt: nll of 000\.png is not finite; look at the image, or lower lr"):
        judged(expert, features)


def test_every_statistic_is_checked_not_the_likelihood_alone(load):
    expert, features = load()
    expert.normal_patches[1].memory.centered[0][:] = torch.nan
    with pytest.raises(ArtifactError, match=r"bolt: memory0 of 004\.png is not finite"):
        judged(expert, features.take(np.arange(4, 9)))
    with pytest.raises(ArtifactError, match=r"bolt: memory0 of 007\.png is not finite"):
        expert.statistics_by_fold(features.take(np.arange(4, 9)), np.array([0, 0, 2, 1, 1]))


def test_folds_without_an_image_are_no_trouble(load):
    expert, features = load()
    own = expert.statistics_by_fold(features.take(np.arange(4)), np.array([2, 0, 0, 2]))
    every = judged(expert, features.take(np.arange(4)))
    np.testing.assert_allclose(own["nll"], every["nll"][[2, 0, 0, 2], np.arange(4)], rtol=1e-4, atol=1e-4)


def test_patch_statistics_count_the_standardization(make_density):
    density = make_density(dia_blocks=0).eval()
    features = torch.randn(5, 3, 3, 10).half()
    memory = MemoryBank([features[0, 0, :, :8], features[0, 0, :, 8:]])
    plain, shifted = (
        patch_statistics(density, NormalPatches(memory, None), None, features, log_det=log_det, dtype=torch.float32)
        for log_det in (0.0, 3.0)
    )
    np.testing.assert_allclose(shifted["nll"], plain["nll"] - 3, rtol=1e-5)
    np.testing.assert_allclose(shifted["neg_log_det"], plain["neg_log_det"] - 3, rtol=1e-5)
    np.testing.assert_array_equal(shifted["latent"], plain["latent"])
    np.testing.assert_allclose(plain["nll"], plain["latent"] + plain["neg_log_det"] + 4 * np.log(2 * np.pi), rtol=1e-5)
    np.testing.assert_allclose(plain["nll"], density(features[..., :8].float()).nll.detach(), rtol=1e-5)
    assert plain["memory0"][0, 0].max() < 0.05 < plain["memory0"][1].min()
    assert plain["memory1"].shape == (5, 3, 3)


def test_the_second_branch_says_its_nll_and_leaves_the_first_alone(make_density):
    both, single = (make_density(branches=branches).eval() for branches in ("dual", "none"))
    features = torch.randn(5, 3, 3, 8).half()
    said, plain = (
        patch_statistics(density, NormalPatches(MemoryBank([]), None), None, features, log_det=3.0, dtype=torch.float32)
        for density in (both, single)
    )
    torch.testing.assert_close(said.pop("nll_free"), both.free(features.float()).nll.detach() - 3)
    assert said.keys() == plain.keys()
    assert all(statistic.equal(plain[name]) for name, statistic in said.items())


def test_an_expert_is_merged_for_inference_with_the_same_bits(load, states):
    """In fp32; in a shorter precision a small LoRA would be lost in the layer's last place."""
    expert, features = load()
    plain = Density(**ARGUMENTS)  # the seed makes it the base that was saved
    plain.load_state_dict(states[0], strict=False)
    with torch.inference_mode():
        expected = plain.eval()(features[:].float())
        found = expert.densities[0](features[:].float())
    assert torch.equal(found.z, expected.z)
    assert torch.equal(found.log_det, expected.log_det)
    assert not any(isinstance(module, LoRALinear) for module in expert.densities[0].modules())


def test_an_image_is_judged_alike_however_it_is_turned(load):
    """In four orientations; as it is, the position code and the Gaussians tell how it lies."""
    (expert, features), quarter = load(orientations=4), {"k": 1, "dims": (1, 2)}
    as_it_is, once = (judged_tensor(load(orientations=count)[0], features[:]) for count in (1, 4))
    turned = judged_tensor(expert, torch.rot90(features[:], **quarter))
    for name, statistic in once.items():
        found = np.rot90(turned[name], -1, (2, 3))
        np.testing.assert_allclose(found, statistic, rtol=1e-3, atol=1e-3)
        assert (statistic <= as_it_is[name]).all()
        assert np.array_equal(statistic, as_it_is[name]) == name.startswith("memory")
    plain = judged_tensor(load()[0], torch.rot90(features[:], **quarter))
    for name in ("nll", "latent", "gaussian", "relative"):
        assert not np.allclose(np.rot90(plain[name], -1, (2, 3)), as_it_is[name], rtol=1e-2)


def judged_tensor(expert, features):
    return expert.statistics(features, [str(number) for number in range(len(features))])


def test_a_defect_at_a_corner_stays_there_in_every_orientation(load):
    expert, features = load(orientations=4)
    before, patches = judged_tensor(expert, features[:1]), features[:1].clone()
    patches[0, 0, 3, ::2] += 20
    for name, statistic in judged_tensor(expert, patches).items():
        changed = np.abs(statistic - before[name])[:, 0] > 1e-3  # (3, 4, 4), of every fold
        assert changed[:, 0, 3].all(), name
        assert not changed[:, 2:].any(), name  # the context before the flow reaches the next patch
        assert not changed[:, :, :2].any(), name


def test_training_images_are_judged_in_the_same_orientations(load):
    """Else what is compared with would be farther from its Gaussians than new images are."""
    (once, features), (turned, _) = load(), load(orientations=4)
    one, four = (expert.left_out_statistics(features) for expert in (once, turned))
    np.testing.assert_array_equal(four["memory0"], one["memory0"])
    assert (four["gaussian"] <= one["gaussian"]).all()
    assert four["gaussian"].mean() < one["gaussian"].mean()
