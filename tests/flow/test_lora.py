"""LoRA is the paper's formula, in every precision."""

import pytest
import torch

from moleflow.flow.full_weights import FullWeights
from moleflow.flow.lora import LoRALinear
from moleflow.flow.lora_grid import LoRAGrid
from moleflow.protocols.presets import PRESETS

RANK = 64  # of params.yaml; no preset changes it
PLAIN = {"task_bias": True, "spectral_bound": 0.0}
STRENGTHS = {0.01, 1.0, 64.0} | {preset["lora_alpha"] for preset in PRESETS.values() if "lora_alpha" in preset}


def test_lora_is_the_papers_formula():
    layer = LoRALinear(5, 4, lora_rank=2, lora_alpha=6.0, **PLAIN)
    with torch.no_grad():
        layer.lora_B.normal_()
        layer.task_bias.normal_()
    x = torch.randn(3, 5)
    expected = x @ layer.weight.T + 6 / 2 * x @ layer.lora_A.T @ layer.lora_B.T + layer.bias + layer.task_bias
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("alpha", sorted(STRENGTHS))
def test_lora_is_not_lost_in_a_short_precision(alpha):
    """What the expert adds under bf16 is what it adds in double precision, however small its share; presets' too."""
    torch.manual_seed(0)
    plain, layer = (LoRALinear(64, 64, lora_rank=RANK, lora_alpha=alpha, **PLAIN) for _ in range(2))
    layer.load_state_dict(plain.state_dict())
    torch.nn.init.normal_(layer.lora_B, std=0.01)
    torch.nn.init.normal_(layer.task_bias, std=1e-3)
    x = torch.randn(200, 64)
    with torch.no_grad():
        true = alpha / RANK * (x.double() @ layer.lora_A.double().T @ layer.lora_B.double().T) + layer.task_bias
        with torch.autocast("cpu", torch.bfloat16):
            added = layer(x).double() - plain(x).double()
    assert (added - true).norm() < 0.01 * true.norm()


def grid_of(nodes):
    layer = LoRAGrid(5, 4, lora_rank=2, lora_alpha=6.0, lora_grid=nodes, **PLAIN)
    torch.nn.init.normal_(layer.lora_B)
    torch.nn.init.normal_(layer.task_bias)
    return layer


def test_a_grid_of_one_node_is_plain_lora():
    grid, plain = grid_of(1), LoRALinear(5, 4, lora_rank=2, lora_alpha=6.0, **PLAIN)
    plain.load_state_dict(
        {name: value.view(plain.state_dict()[name].shape) for name, value in grid.state_dict().items()}
    )
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(grid(x), plain(x))


def test_between_the_nodes_the_matrices_are_bilinear():
    """Patches on the nodes use theirs; the one in the middle of four uses their mean."""
    grid, x = grid_of(2), torch.randn(1, 3, 3, 5)

    def by_hand(down, up):
        return x @ grid.weight.T + 3 * x @ down.T @ up.T + grid.bias + grid.task_bias

    y = grid(x)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        expected = by_hand(grid.lora_A[row, column], grid.lora_B[row, column])
        torch.testing.assert_close(y[0, 2 * row, 2 * column], expected[0, 2 * row, 2 * column])
    middle = by_hand(grid.lora_A.mean((0, 1)), grid.lora_B.mean((0, 1)))
    torch.testing.assert_close(y[0, 1, 1], middle[0, 1, 1])


def test_a_bound_holds_the_largest_singular_value_and_leaves_smaller_ones():
    torch.manual_seed(0)
    bound = {"task_bias": True, "spectral_bound": 1.0}
    layer = LoRALinear(20, 30, lora_rank=0, lora_alpha=0.0, **bound)
    with torch.no_grad():
        layer.weight.mul_(0.1)
    assert layer.base_weight().equal(layer.weight)
    with torch.no_grad():
        layer.weight.mul_(50)
    assert torch.linalg.matrix_norm(layer.base_weight(), 2).item() == pytest.approx(1.0, rel=0.02)


def test_the_vectors_of_a_bound_move_only_while_the_base_learns():
    layer = LoRALinear(20, 30, lora_rank=2, lora_alpha=2.0, task_bias=True, spectral_bound=1.0)
    torch.nn.init.normal_(layer.weight)
    vectors = layer.left.clone(), layer.right.clone()
    x = torch.randn(3, 20)
    with torch.no_grad():
        layer(x)
    layer.weight.requires_grad_(False)
    layer(x)
    assert layer.left.equal(vectors[0])
    assert layer.right.equal(vectors[1])
    layer.weight.requires_grad_(True)
    layer(x)
    assert not layer.left.equal(vectors[0])


def test_full_weights_start_as_the_bases_and_belong_to_later_tasks():
    first = FullWeights(5, 4, first=True, spectral_bound=0.0)
    later = FullWeights(5, 4, first=False, spectral_bound=0.0)
    later.load_state_dict(first.state_dict(), strict=False)
    x = torch.randn(3, 5)
    torch.testing.assert_close(later(x), first(x))
    assert {name for name, _ in first.named_parameters()} == {"weight", "bias"}
    assert later.own["weight"].shape == (4, 5)
