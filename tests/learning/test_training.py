"""Law 2 and 3 in the small: what must not move does not, and the same seed gives the same bytes."""

import numpy as np
import pytest
import torch
from projects import ROOT
from pydantic import ValidationError
from ruamel.yaml import YAML

from moleflow.compute.precision import PRECISIONS
from moleflow.config.registry import ChoiceError
from moleflow.flow.density import base_parameters, base_state, expert_state
from moleflow.learning.batches import Drawn
from moleflow.learning.training import Recipe, TrainingError, learning_rate_factor, train

RECIPE = Recipe(
    epochs=6, warmup_epochs=1.0, lr=1e-2, position_lr=1.0, batch_size=4, feature_memory=1.0, precision="fp32",
    tail_weight=0.7, tail_ratio=0.1, lambda_logdet=1e-4, identity_weight=0.0,
    focal_gamma=0.0, center_weight=0.0, dsm_weight=0.0, dsm_sigma=[0.01, 1.0], dsm_projections=1,
    dsm_clean_weight=0.0, margin_weight=0.0, weight_decay=0.01, grad_clip=0.5, seed=0,
)  # fmt: skip


def changed(**changes):
    return RECIPE.model_copy(update=changes)


def features(count=12, level=0.0):
    return level + torch.randn(count, 3, 3, 8, generator=torch.Generator().manual_seed(0)).half()


def learn_expert(density, recipe=RECIPE, data=None):
    expert = expert_state(density)
    data = features(level=1.0) if data is None else data
    return expert, train(density, {"bolt": expert}, {"bolt": data}, list(expert.items()), recipe, label="bolt")


def snapshot(tensors):
    return {name: value.detach().clone() for name, value in tensors.items()}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_expert_learns_and_the_base_stays_bit_for_bit(make_density, precision):
    density = make_density(first=False)
    base, expert = snapshot(base_state(density)), snapshot(expert_state(density))
    _, curve = learn_expert(density, changed(precision=precision))
    assert all(base_state(density)[name].equal(value) for name, value in base.items())
    assert all(parameter.grad is None for _, parameter in base_parameters(density))
    assert not any(expert_state(density)[name].equal(value) for name, value in expert.items())
    assert curve[-1]["nll"] < curve[0]["nll"]
    assert [row["epoch"] for row in curve] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("variant", [{"lora_rank": 0}, {"dia_blocks": 0}, {"alignment": "none"}], ids=str)
def test_every_ablation_of_the_expert_still_learns(make_density, variant):
    _, curve = learn_expert(make_density(first=False, **variant))
    assert curve[-1]["nll"] < curve[0]["nll"]


def test_base_learns_with_two_products_each_with_its_own_expert(make_density):
    density, experts = make_density(), {name: expert_state(make_density()) for name in ("bolt", "nut")}
    before = snapshot(base_state(density))
    trained = [*base_parameters(density), *(named for expert in experts.values() for named in expert.items())]
    train(density, experts, {"bolt": features(level=-1.0), "nut": features(level=1.0)}, trained, RECIPE, label="t0")
    after = base_state(density)
    assert all(after[name].equal(before[name]) == name.endswith("permutation") for name in before)
    assert not experts["bolt"]["alignment.shift"].equal(experts["nut"]["alignment.shift"])
    untouched = expert_state(make_density())
    assert all(expert_state(density)[name].equal(value) for name, value in untouched.items())


def test_same_seed_same_tensors(make_density):
    results = [learn_expert(make_density(first=False), changed(seed=seed))[0] for seed in (0, 0, 1)]
    assert all(results[0][name].equal(results[1][name]) for name in results[0])
    assert not all(results[0][name].equal(results[2][name]) for name in results[0])


class Watched:
    """Features that note which rows were read, and how many at once."""

    def __init__(self, tensor):
        self.tensor, self.shape, self.device, self.reads = tensor, tuple(tensor.shape), tensor.device, []

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, rows):
        self.reads.append(rows)
        return self.tensor[rows]


def watched_training(make_density, count, memory):
    """Three products' features through `train` for two epochs."""
    density = make_density(first=False)
    expert = expert_state(density)
    data = {name: Watched(features(count)) for name in ("bolt", "nut", "washer")}
    recipe = changed(epochs=2, feature_memory=memory)
    curve = train(density, dict.fromkeys(data, expert), data, list(expert.items()), recipe, label="t1")
    return data, curve


def test_features_that_fit_are_read_once(make_density):
    data, _ = watched_training(make_density, 150, 1.0)
    assert [len(each.reads) for each in data.values()] == [1, 1, 1]


def test_features_beyond_the_memory_are_read_in_windows_every_image_once_an_epoch(make_density):
    """Never more images at once than fit, all of them in each epoch, and in another order."""
    image = 2 * 3 * 3 * 8
    data, curve = watched_training(make_density, 150, 3 * 70 * image / 2**30)
    for each in data.values():
        assert [len(rows) for rows in each.reads] == [70, 70, 10] * 2
        first, second = np.concatenate(each.reads[:3]), np.concatenate(each.reads[3:])
        assert sorted(first) == sorted(second) == list(range(150))
        assert not np.array_equal(first, second)
    assert curve[-1]["nll"] < curve[0]["nll"]


def test_windows_learn_as_well_as_all_at_once(make_density):
    image = 2 * 3 * 3 * 8
    _, whole = watched_training(make_density, 150, 1.0)
    _, windows = watched_training(make_density, 150, 3 * 70 * image / 2**30)
    assert windows[-1]["nll"] == pytest.approx(whole[-1]["nll"], abs=0.05 * abs(whole[0]["nll"]))


def test_products_that_share_an_expert_move_it_together(make_density):
    """With expert_per: task the expert sees the batches of all its products."""
    density = make_density(first=False)
    expert = expert_state(density)
    data = {"bolt": features(level=1.0), "nut": features(level=-1.0)}
    train(density, dict.fromkeys(data, expert), data, list(expert.items()), RECIPE, label="t1")
    alone, _ = learn_expert(make_density(first=False))
    assert not any(expert[name].equal(value) for name, value in alone.items())


def test_divergence_names_product_epoch_and_step(make_density):
    data = features()
    data[5] = float("nan")
    with pytest.raises(TrainingError, match=r"bolt: the loss is not finite in epoch 1, step \d; lower lr"):
        learn_expert(make_density(), data=data)


def gains_after(make_density, **changes):
    """The alignment's gain and LoRA's B after training on features that give them hardly any gradient."""
    density = make_density(first=False, alignment="affine")
    with torch.no_grad():
        for tensor in expert_state(density).values():
            tensor.add_(0.3)
    before = snapshot(expert_state(density))
    expert, _ = learn_expert(density, changed(lr=1e-9, **changes))
    return before, expert


def test_weight_decay_pulls_weights_alone(make_density):
    """A huge decay at a tiny lr moves only what decays: no alignment, no bias."""
    before, after = gains_after(make_density, weight_decay=1e7, warmup_epochs=0.0)
    shrunk = {name for name, value in before.items() if after[name].norm() < 0.95 * value.norm()}
    assert shrunk == {name for name in before if name.startswith(("flow.", "dia.")) and before[name].ndim > 1}
    before, after = gains_after(make_density, weight_decay=0.0, warmup_epochs=0.0)
    assert all(torch.allclose(after[name], value, atol=1e-6) for name, value in before.items())


def test_gradients_are_clipped_to_the_norm_asked_for(make_density, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def spy(self, *arguments, **keywords):
        grads = [tensor.grad for group in self.param_groups for tensor in group["params"] if tensor.grad is not None]
        norms.append(torch.cat([grad.flatten() for grad in grads]).norm().item())
        return step(self, *arguments, **keywords)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    learn_expert(make_density(first=False), changed(epochs=1, warmup_epochs=0.0, grad_clip=0.1))
    assert max(norms) == pytest.approx(0.1, rel=1e-3)
    norms.clear()
    learn_expert(make_density(first=False), changed(epochs=1, warmup_epochs=0.0, grad_clip=0.0))
    assert max(norms) > 0.5


def test_warm_up_ends_before_training_does():
    keys = yaml_params()
    assert Recipe(**keys).warmup_epochs < Recipe(**keys).epochs
    with pytest.raises(ValidationError, match="warmup_epochs: 8 must be below epochs: 8"):
        Recipe(**{**keys, "epochs": 8, "warmup_epochs": 8.0})


def test_the_precision_is_one_of_those_there_are():
    assert {name: changed(precision=name).dtype for name in PRECISIONS} == PRECISIONS
    with pytest.raises(ChoiceError, match="precision: 'fp8' is unknown; choose one of fp32, bf16"):
        changed(precision="fp8").dtype  # noqa: B018


def yaml_params():
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    return {key: params[key] for key in Recipe.model_fields}


def test_schedule_warms_up_and_ends_at_one_percent():
    factors = [learning_rate_factor(step, 10, 100) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == factors[10] == 1.0
    assert factors[100] == pytest.approx(0.01)


def test_a_margin_without_painted_images_is_refused_by_the_product(make_density):
    with pytest.raises(TrainingError, match=r"bolt: margin_weight needs images with painted defects.*painted_images"):
        learn_expert(make_density(first=False), changed(margin_weight=1.0))


def test_painted_images_are_drawn_alike_whether_they_fit_into_memory_or_not():
    drawn = [Drawn(features(), memory).draw(5, torch.Generator().manual_seed(0)) for memory in (1.0, 1e-9)]
    assert drawn[0].equal(drawn[1])
    assert drawn[0].shape == (5, 3, 3, 8)
