"""Alignments: how they start, and the log-determinant they claim."""

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
