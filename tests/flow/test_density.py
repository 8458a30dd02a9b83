"""Law 1: the flow is a bijection with the log-determinant it claims; the expert is the expert's alone."""

import math

import pytest
import torch
from samples import shaken

from moleflow.flow.alignments import ALIGNMENTS
from moleflow.flow.contexts import CONTEXTS
from moleflow.flow.coupling_contexts import COUPLING_CONTEXTS
from moleflow.flow.density import base_parameters, base_state, expert_names, expert_state
from moleflow.flow.positions import POSITIONS
from moleflow.flow.subnets import EXPERT_WEIGHTS

# Inside the couplings.
COUPLINGS = [
    *({"coupling_context": name} for name in COUPLING_CONTEXTS),
    *({"expert_weights": name, "first": first} for name in EXPERT_WEIGHTS for first in (True, False)),
    {"scale_context_kernel": 0},
    {"context_gate": 4},
    {"lora_rank": 0},
    {"lora_grid": 3},
    {"task_bias": False},
    {"spectral_bound": 1.0},
    {"spectral_bound": 0.5, "expert_weights": "full", "first": False},
]
# Every switch at its neutral value or null member, and some together.
VARIANTS = [
    {},
    *({"position": name} for name in POSITIONS),
    *({"context": [name]} for name in CONTEXTS),
    *({"alignment": name, "first": first} for name in ALIGNMENTS for first in (True, False)),
    *COUPLINGS,
    {"context": ["semantic", "mixer", "global"]},
    {"dia_blocks": 0},
    {"dia_hidden": 0.75},
    {"channels": 12, "couplings": 1},
    {"position": "none", "context": [], "alignment": "none", "scale_context_kernel": 0, "lora_rank": 0},
]


def maps(channels=8, count=2, side=5):
    return torch.randn(count, side, side, channels, generator=torch.Generator().manual_seed(2), dtype=torch.double)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_inverse_undoes_forward(make_density, variant):
    density = shaken(make_density(**variant)).eval()
    x = maps(variant.get("channels", 8))
    for inn in (density.flow, density.dia):
        z, log_det = inn(x)
        back, back_log_det = inn(z, rev=True)
        torch.testing.assert_close(back, x)
        torch.testing.assert_close(torch.as_tensor(back_log_det), -torch.as_tensor(log_det))


def test_a_base_loaded_under_another_seed_is_a_bijection_with_true_gradients(make_density):
    """Its permutations come from the file, not from the seed of the density that takes it."""
    density = make_density(seed=1)
    density.load_state_dict(base_state(make_density(seed=0)), strict=False)
    density = shaken(density)
    x = maps().requires_grad_()
    z, _ = density.flow(x)
    torch.testing.assert_close(density.flow(z, rev=True)[0], x)
    small = maps(count=1, side=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: density.flow(given)[0], (small,))


@pytest.mark.parametrize("variant", [{"dia_blocks": 2}, {"dia_blocks": 3}, {"lora_rank": 0}], ids=str)
def test_log_det_is_that_of_the_jacobian(make_density, variant):
    density = shaken(make_density(scale_context_kernel=0, **variant))
    x = maps(count=1, side=1)
    for inn in (density.flow, density.dia):
        jacobian = torch.autograd.functional.jacobian(
            lambda flat, inn=inn: inn(flat.view(1, 1, 1, 8))[0].flatten(), x.flatten()
        )
        torch.testing.assert_close(inn(x)[1].squeeze(), torch.linalg.slogdet(jacobian).logabsdet)


@pytest.mark.parametrize("variant", COUPLINGS, ids=str)
def test_log_dets_of_patches_sum_to_the_maps_whatever_a_coupling_sees(make_density, variant):
    density = shaken(make_density(dia_blocks=0, **variant)).eval()
    x = maps(count=1, side=2)
    jacobian = torch.autograd.functional.jacobian(lambda flat: density.flow(flat.view_as(x))[0].flatten(), x.flatten())
    torch.testing.assert_close(density.flow(x)[1].sum(), torch.linalg.slogdet(jacobian).logabsdet)


def test_nll_is_the_change_of_variables(make_density):
    judged = shaken(make_density())(maps())
    normal = torch.distributions.Normal(0.0, 1.0)
    expected = -normal.log_prob(judged.z).sum(-1) - judged.log_det
    torch.testing.assert_close(judged.nll, expected)
    torch.testing.assert_close(judged.latent, judged.nll + judged.log_det - 4 * math.log(2 * math.pi))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_new_expert_changes_nothing(make_density, variant):
    """LoRA, own weights and biases, and DIA start as the identity: with them or without, the likelihood is the same."""
    with_expert = make_density(**variant)
    without = make_density(**{**variant, "expert_weights": "lora", "lora_rank": 0, "dia_blocks": 0})
    without.load_state_dict(base_state(with_expert), strict=False)
    x = maps(variant.get("channels", 8)).float()
    torch.testing.assert_close(with_expert(x).nll, without(x).nll)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_parameter_gets_a_gradient(make_density, variant):
    density = shaken(make_density(**variant))
    density(maps(variant.get("channels", 8))).nll.sum().backward()
    missing = [name for name, value in density.named_parameters() if value.numel() and not value.grad.abs().sum()]
    assert missing == []


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_base_and_expert_share_nothing_and_miss_nothing(make_density, variant):
    density = make_density(**variant)
    expert, base = set(expert_names(density)), set(base_state(density))
    assert expert.isdisjoint(base)
    assert expert | base == set(density.state_dict())
    assert len(base_parameters(density)) + len(expert) == len(list(density.parameters()))


def test_expert_is_lora_biases_alignment_and_dia(make_density):
    kinds = {name.split(".")[0] if "flow" not in name else name.split(".")[-1] for name in expert_state(make_density())}
    assert kinds == {"alignment", "dia", "lora_A", "lora_B", "task_bias"}


def test_permutations_are_saved_with_the_base_and_seeded(make_density):
    first, again, other = make_density(), make_density(), make_density(seed=1)
    names = [name for name in base_state(first) if name.endswith("permutation")]
    assert len(names) == 3
    assert all(base_state(first)[name].equal(base_state(again)[name]) for name in names)
    assert not all(base_state(first)[name].equal(base_state(other)[name]) for name in names)


def test_the_alignments_log_det_is_part_of_the_density(make_density):
    density = shaken(make_density(alignment="affine", dia_blocks=0, context=[]))
    x = maps()
    aligned, log_det = density.alignment(density.position(x))
    torch.testing.assert_close(density(x).log_det, density.flow(aligned)[1] + log_det)
