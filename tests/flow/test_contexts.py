"""How patches see others before the flow."""

import pytest
import torch
from samples import SETTINGS

from moleflow.config.errors import MoleflowError
from moleflow.config.registry import call
from moleflow.flow.contexts import CONTEXTS

IDENTITIES = ("global", "semantic", "patch_attention")
AVERAGES = ("mixer", "adaptive_mixer")


def made(name, **changes):
    torch.manual_seed(0)
    return call(CONTEXTS[name], SETTINGS | changes, 8)


def patches(side=6):
    return torch.randn(2, side, side, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("kernel", [3, 5])
def test_mixers_start_as_the_mean_of_x_and_a_box_average(name, kernel):
    x = torch.ones(1, 7, 7, 8)
    mixed = made(name, mixer_kernel=kernel)(x)
    torch.testing.assert_close(mixed[:, 3, 3], x[:, 3, 3])
    a, inside = torch.tensor(0.5).sigmoid(), (kernel // 2 + 1) ** 2 / kernel**2
    torch.testing.assert_close(mixed[0, 0, 0, 0], 1 - a + a * inside)  # zero padding at the corner


@pytest.mark.parametrize("name", IDENTITIES)
def test_contexts_that_promise_to_start_as_the_identity_do(name):
    torch.testing.assert_close(made(name)(patches()), patches())


@pytest.mark.parametrize("name", ["ms_context", "task_ms_context"])
def test_a_multi_scale_context_leaves_what_is_alike_everywhere_but_for_its_regions(name):
    """The border is mirrored, so that every average of a constant is the constant; the regions start at zero."""
    context = made(name)
    x = torch.ones(1, 6, 6, 8)
    blended = context(x)
    assert blended.std((1, 2)).max() < 1e-6
    with pytest.raises(MoleflowError, match="more than 4 patches per side; grid gives 4×4"):
        context(patches(4))


def test_a_regions_attention_is_what_the_formula_says():
    context = made("global", global_regions=2)
    torch.nn.init.normal_(context.out.weight)
    x = patches(4)
    regions = torch.stack([x[:, i : i + 2, j : j + 2].mean((1, 2)) for i in (0, 2) for j in (0, 2)], dim=1)
    asked, told = x.flatten(1, 2) @ context.query.weight.T, regions @ context.key.weight.T
    attention = (asked @ told.mT / 2**0.5).softmax(-1) @ (regions @ context.value.weight.T)
    expected = x + context.gate.sigmoid() * (attention @ context.out.weight.T).view_as(x)
    torch.testing.assert_close(context(x), expected)
