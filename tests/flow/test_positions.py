"""Position codes."""

import pytest
import torch
from samples import CPU

from moleflow.config.errors import MoleflowError
from moleflow.flow.positions import POSITIONS
from moleflow.flow.positions.relative import FARTHEST, _offsets
from moleflow.flow.positions.sincos import sincos


def test_position_none_adds_nothing_and_sincos_tells_places_apart():
    x = torch.randn(2, 3, 4, 8)
    assert POSITIONS["none"](8)(x).equal(x)
    code = sincos(3, 4, 8)
    assert POSITIONS["sincos"](8)(x).equal(x + code)
    assert len(code.flatten(0, 1).unique(dim=0)) == 12
    assert code[..., :4].unique(dim=0).shape[0] == 1  # the first half depends on the column alone


@pytest.mark.parametrize("name", [name for name in POSITIONS if name != "none"])
def test_a_code_needs_a_multiple_of_4_channels(name):
    with pytest.raises(MoleflowError, match="embed_dim and flow_layers give 10"):
        POSITIONS[name](10)


def test_offsets_are_clipped_and_alike_for_pairs_that_lie_alike():
    offsets = _offsets(10, 10, CPU).view(10, 10, 10, 10)
    assert offsets[0, 0, 1, 2] == offsets[5, 6, 6, 8] != offsets[1, 2, 0, 0]
    assert offsets[0, 0, 9, 9] == offsets[0, 0, FARTHEST, FARTHEST]
    assert offsets.min() >= 0
    assert offsets.max() < (2 * FARTHEST + 1) ** 2


def test_relative_attention_alone_depends_on_no_place():
    """With the code's share at zero, turning the grid by a shift moves the inner patches' results along."""
    torch.manual_seed(0)
    position = POSITIONS["relative"](8)
    torch.nn.init.constant_(position.gate, 50.0)
    torch.nn.init.normal_(position.table)
    x = torch.zeros(1, 5, 5, 8)
    x[0, 1, 1] = torch.randn(8)
    moved = x.roll((1, 1), (1, 2))
    here, there = position(x) - x, position(moved) - moved
    assert (here[0, 1, 1] - there[0, 2, 2]).abs().max() < 0.2 * here.abs().max()


def test_tape_takes_half_of_the_code_at_first_and_the_strength_is_its_own():
    tape, x = POSITIONS["tape"](8), torch.randn(2, 3, 3, 8)
    torch.testing.assert_close(tape(x), x + 0.5 * sincos(3, 3, 8))
    assert [name for name, _ in tape.named_parameters()] == ["own.strength"]
