"""Alignments: how they start, and the log-determinant they claim."""

import pytest
import torch
from samples import shaken

from moleflow.flow.alignments import ALIGNMENTS


def patches():
    return torch.randn(1, 1, 1, 8, generator=torch.Generator().manual_seed(2), dtype=torch.double)


def test_layer_norm_starts_near_one_for_the_first_task_only():
    x = torch.randn(2, 3, 3, 8, generator=torch.Generator().manual_seed(2))
    normed = torch.nn.functional.layer_norm(x, (8,))
    torch.testing.assert_close(ALIGNMENTS["layer_norm"](8, True)(x)[0], normed, atol=0.01, rtol=0.01)
    torch.testing.assert_close(ALIGNMENTS["layer_norm"](8, False)(x)[0], 1.25 * normed)


def test_affine_starts_as_the_identity_and_counts_its_log_det():
    x = patches()
    fresh = ALIGNMENTS["affine"](8, False).double()
    torch.testing.assert_close(fresh(x)[0], x, rtol=1e-6, atol=1e-6)
    moved = shaken(ALIGNMENTS["affine"](8, False))
    jacobian = torch.autograd.functional.jacobian(lambda flat: moved(flat.view(1, 1, 1, 8))[0].flatten(), x.flatten())
    torch.testing.assert_close(moved(x)[1], torch.linalg.slogdet(jacobian).logabsdet)


@pytest.mark.parametrize("name", ALIGNMENTS)
@pytest.mark.parametrize("first", [True, False])
def test_a_log_det_of_zero_is_claimed_by_all_but_affine(name, first):
    aligned, log_det = shaken(ALIGNMENTS[name](8, first))(patches())
    assert aligned.shape == patches().shape
    assert bool(log_det.detach() != 0) == (name == "affine")


def test_instance_mlp_is_the_identity_in_the_first_task_and_an_instance_norm_at_first_in_later_ones():
    x = 3 + 2 * torch.randn(2, 4, 4, 8, generator=torch.Generator().manual_seed(2))
    assert ALIGNMENTS["instance_mlp"](8, True)(x)[0].equal(x)
    normed = ALIGNMENTS["instance_mlp"](8, False)(x)[0]
    torch.testing.assert_close(normed.mean((1, 2)), torch.zeros(2, 8), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var((1, 2), correction=0), torch.ones(2, 8), atol=1e-4, rtol=0)


def test_the_first_task_takes_a_tenth_of_film():
    x = torch.randn(2, 3, 3, 8)
    first, later = ALIGNMENTS["film"](8, True), ALIGNMENTS["film"](8, False)
    later.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(x)[0], 0.9 * x + 0.1 * later(x)[0])


def test_soft_norm_blends_in_the_first_task_alone_and_finds_back_from_below_zero():
    first, later = ALIGNMENTS["soft_norm"](8, True), ALIGNMENTS["soft_norm"](8, False)
    assert first.blend is not None
    assert later.blend is None
    torch.nn.init.constant_(first.blend, -1.0)
    x = torch.randn(2, 3, 3, 8)
    clipped = first(x)[0]
    later.load_state_dict({name: value for name, value in first.state_dict().items() if name != "blend"})
    torch.testing.assert_close(clipped, 0.9 * x + 0.1 * later(x)[0])
    clipped.square().sum().backward()
    assert first.blend.grad != 0


def test_departure_is_zero_at_the_identity_and_grows_with_gain_and_shift():
    affine = ALIGNMENTS["affine"](8, True)
    torch.testing.assert_close(affine.departure(), torch.tensor(0.0))
    film = ALIGNMENTS["film"](8, True)
    with torch.no_grad():
        film.gain += 2
        film.shift += 3
    torch.testing.assert_close(film.departure(), torch.tensor(0.1 * (4 + 9)))
    assert ALIGNMENTS["none"](8, True).departure() == 0
