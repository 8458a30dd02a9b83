"""The hand-written steps of a coupling compute what their plain forms compute, gradients included."""

import torch
from torch.autograd import gradcheck

from moleflow.flow.affine import affine, in_autocast_precision, inverse_affine, permuted_halves

GENERATOR = torch.Generator().manual_seed(0)


def patches(channels):
    return torch.randn(2, 3, 3, channels, generator=GENERATOR, dtype=torch.double, requires_grad=True)


def test_permuted_halves_take_the_channels_and_give_their_gradients_back():
    permutation = torch.randperm(7, generator=GENERATOR)
    x = patches(7)
    kept, changed = permuted_halves(x, permutation, 3)
    torch.testing.assert_close(torch.cat([kept, changed], dim=-1), x[..., permutation])
    assert gradcheck(lambda x: permuted_halves(x, permutation, 3), (x,))


def test_affine_is_its_formula_with_its_gradients():
    kept, changed, scale, shift = patches(3), patches(4), patches(4), patches(4)
    log_scale = 1.9 * scale.tanh()
    moved = changed * log_scale.exp() + shift
    for swap in (False, True):
        whole, log_det = affine(kept, changed, scale, shift, 1.9, swap=swap)
        torch.testing.assert_close(whole, torch.cat([moved, kept] if swap else [kept, moved], dim=-1))
        torch.testing.assert_close(log_det, log_scale.sum(-1))
        assert gradcheck(lambda *given, swap=swap: affine(*given, 1.9, swap=swap), (kept, changed, scale, shift))
    back, back_log_det = inverse_affine(moved, scale, shift, 1.9)
    torch.testing.assert_close(back, changed)
    torch.testing.assert_close(back_log_det, -log_det)


def test_networks_may_answer_in_half_precision():
    changed = torch.randn(5, 4, generator=GENERATOR, requires_grad=True)
    scale, shift = (torch.randn(5, 4, generator=GENERATOR).bfloat16().requires_grad_() for _ in range(2))
    moved, log_det = affine(changed, changed, scale, shift, 1.0)
    assert moved.dtype == log_det.dtype == torch.float32
    (moved.sum() + log_det.sum()).backward()
    assert scale.grad.dtype == shift.grad.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert in_autocast_precision(changed).dtype == torch.bfloat16
        assert in_autocast_precision(changed.double()).dtype == torch.float64
    assert in_autocast_precision(changed) is changed
