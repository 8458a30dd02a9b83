"""Relative likelihood: unlikely for its kind, not unlikely by itself."""

import math

import pytest
import torch
from torch import nn

from moleflow.features.memory_bank import MemoryBank
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.relative_likelihood import LEANING
from moleflow.flow.density import Density, Likelihood
from moleflow.flow.relative import relative_likelihood


class Read(Density):
    """A density whose nll is the patch's second channel."""

    def __init__(self):
        nn.Module.__init__(self)
        self.channels = 2

    def forward(self, x):
        return Likelihood(torch.zeros_like(x), math.log(2 * math.pi) - x[..., 1])


@pytest.fixture
def made():
    """Two kinds of patch, at 0 and at 100: nll of about 5, and of about 300, which varies more."""
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(40 * 16).reshape(40, 4, 4) % 2
    nll = torch.where(kind == 0, 5, 300) + torch.where(kind == 0, 1, 20) * torch.randn(40, 4, 4, generator=generator)
    features = torch.stack([100.0 * kind, nll], -1)
    memory = MemoryBank([torch.tensor([[0.0], [100.0]])])  # of the first channel alone
    return features, NormalPatches(memory, None)


def of(features, normal):
    return relative_likelihood(Read(), {}, features, normal, torch.float32)


def test_references_are_those_of_the_patches_alike(made):
    found = of(*made)
    torch.testing.assert_close(found.mean, torch.tensor([5.0, 300.0]), rtol=0.2, atol=20.0)
    assert found.deviation[0] < found.deviation[1]
    lean = LEANING / (320 + LEANING)
    nll = made[0][..., 1]
    quiet = nll[made[0][..., 0] == 0]
    torch.testing.assert_close(found.mean[0], (1 - lean) * quiet.mean() + lean * nll.mean(), rtol=1e-3, atol=1e-3)


def test_a_patch_that_is_odd_for_its_kind_is_told_from_a_busy_one(made):
    features, normal = made
    judged = torch.tensor([[[[0.0, 150.0], [100.0, 310.0]]]])  # the first is the likelier one by itself
    _, nearest = normal.search(judged)
    odd, busy = of(features, normal)(judged[..., 1], nearest)[0, 0]
    assert odd > 3 > 1 > busy


def test_without_a_memory_bank_there_are_no_references(made):
    assert of(made[0], NormalPatches(MemoryBank([]), None)) is None


def test_a_kept_patch_that_nothing_is_near_to_leans_on_all(made):
    features, _ = made
    lonely = NormalPatches(MemoryBank([torch.tensor([[0.0], [100.0], [1e4]])]), None)
    found, nll = of(features, lonely), features[..., 1]
    torch.testing.assert_close(found.mean[2], nll.mean(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.deviation[2], nll.std(), rtol=1e-2, atol=1e-2)
