"""What computes runs on one device, and waits for no number of it.

No accelerator is at hand: tensors of the device "meta" stand for one. They have no values, so that whatever asks for
one fails, as `int(tensor)`, `if tensor:` or an index by truth do; and a mode refuses operations on tensors of two
devices.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import CPU, SETTINGS, WHOLE, density_arguments, prototype_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from variants import VARIANTS

from moleflow.baselines import KNN, PaDiM
from moleflow.compute.device import DeviceError, find_device, in_double
from moleflow.features.memory_bank import MemoryBank, memorize
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.position_gaussians import PositionGaussians, PositionMoments
from moleflow.flow.density import Density, base_parameters, expert_state
from moleflow.flow.relative import relative_likelihood
from moleflow.flow.reports import columns, watching
from moleflow.learning.training import Recipe, make_optimizer, training_step
from moleflow.scoring.maps import brought_to_pixels
from moleflow.statistics.expert import patch_statistics

META = torch.device("meta")


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of several devices, but copies and single numbers, as torch does."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        devices = {tensor.device.type for tensor in tensors if tensor.ndim or tensor.device.type != "cpu"}
        if len(devices) > 1 and function is not torch.ops.aten.copy_.default:
            raise AssertionError(f"{function} was given tensors on {sorted(devices)}")
        return function(*args, **(kwargs or {}))


def test_the_mode_finds_a_tensor_left_on_the_processor():
    here, there = torch.ones(3), torch.ones(3, device=META)
    with OneDevice():
        assert (there * 2 + torch.tensor(1.0) + here.to(META)).device == META
        with pytest.raises(AssertionError, match=r"was given tensors on \['cpu', 'meta'\]"):
            there[torch.tensor([1, 0])]
        with pytest.raises((RuntimeError, NotImplementedError)):
            int(there.argmax())


def test_auto_is_the_accelerator_or_the_processor():
    expected = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else CPU
    assert find_device("auto") == expected
    assert find_device("cpu") == CPU
    assert in_double(CPU) == CPU
    assert in_double(torch.device("mps")) == CPU
    with pytest.raises(DeviceError, match=r"device: 'abacus' is not available \(.*\); use auto or cpu"):
        find_device("abacus")


def on_meta(first, side=3, channels=8, **settings):
    density = Density(**density_arguments(first=first, channels=channels, **settings)).to(META)
    features = torch.randn(4, side, side, channels).half().to(META)
    return density, features


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_training_step_runs_on_one_device(first, name):
    density, features = on_meta(first, side=5, channels=16, **VARIANTS[name].changes)
    recipe = Recipe(**{key: (SETTINGS | VARIANTS[name].changes)[key] for key in Recipe.model_fields})
    expert = expert_state(density)
    trained = [*(base_parameters(density) if first else []), *expert.items()]
    learning = [tensor for _, tensor in trained]
    with OneDevice():
        optimizer = make_optimizer(trained, recipe)
        for _ in range(2):
            with watching(density) as seen:
                step = training_step(
                    density,
                    expert,
                    features,
                    learning,
                    optimizer,
                    recipe,
                    painted=features if recipe.margin_weight else None,
                )
                found = step | columns(seen)
    assert {each.device for each in found.values()} == {META}
    assert all(tensor.grad.device == META for _, tensor in trained)


def test_statistics_are_computed_on_one_device():
    density, features = on_meta(False)
    bank = MemoryBank([torch.randn(20, 3).half().to(META), torch.randn(20, 5).half().to(META)])
    with OneDevice():
        normal = NormalPatches(bank, PositionGaussians.of(PositionMoments.of(features), 3))
        relative = relative_likelihood(density, {}, features, normal, torch.float32)
        found = patch_statistics(density.eval(), normal, relative, features, log_det=1.0, dtype=torch.float32)
        maps = brought_to_pixels(found["nll"], size=16, sigma=2.0)
    assert {each.device for each in (*found.values(), maps)} == {META}
    assert maps.shape == (4, 16, 16)


@pytest.mark.parametrize("channels", [8, 100])
def test_a_memory_is_searched_on_one_device(channels):
    features = torch.randn(12, 4, 4, channels).half().to(META)
    with OneDevice():
        (kept,) = memorize(features, [channels], size=5).patches
        distances = KNN(features, coreset_size=7).distances(features[:2])
    assert kept.shape == (5, channels)
    assert kept.device == distances.device == META


def test_padim_is_fitted_on_one_device():
    features = torch.randn(12, 4, 4, 8).half().to(META)
    with OneDevice():
        assert PaDiM(features, feature_memory=1.0).distances(features[:2]).device == META


def test_features_are_computed_where_the_prototype_lies(make_split):
    split = make_split(count=6)
    made = prototype_of(split, patching=WHOLE, standardize="whiten")
    moved = replace(made, shift=made.shift.to(META), matrix=made.matrix.to(META), deviation=made.deviation.to(META))
    with OneDevice():
        assert moved.standardize(moved.patch_features(split.maps())).device == META
        for features in (moved.standardized(split, split), moved.scaled(split)):
            taken = features[np.array([3, 0, 3])]
            assert taken.device == features.device == META
            assert taken.shape == (3, 4, 4, 16)
