"""The steps of a coupling besides its matrix products, each one pass over the patches forward and one back.

Left to autograd, a permutation goes back by scattered additions, a slice by filling zeros, and an affine map by a
dozen passes over temporary tensors: half the time of a training step on a processor (tests/benchmarks).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from moleflow.compute.precision import in_short_precision

_twice: ContextVar[bool] = ContextVar("twice", default=False)


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Leaves these steps to autograd: slower, but the gradient of what is computed inside has a gradient itself.

    Yields:
        Nothing.
    """
    before = _twice.set(True)
    try:
        yield
    finally:
        _twice.reset(before)


def permuted_halves(
    x: Float[Tensor, "*B C"], permutation: Int[Tensor, " C"], half: int
) -> tuple[Float[Tensor, "*B K"], Float[Tensor, "*B R"]]:
    """Permutes the channels and splits them in two.

    Args:
        x: patches, (..., C).
        permutation: order of the channels, (C,).
        half: K, channels of the first part.

    Returns:
        The first K channels of x[..., permutation], (..., K), and the rest, (..., C − K).
    """
    if not torch.is_grad_enabled():  # autograd's bookkeeping is a tenth of a single image's pass
        return _taken(x, permutation[:half]), _taken(x, permutation[half:])
    if _twice.get():
        return x[..., permutation[:half]], x[..., permutation[half:]]
    kept, changed = _PermutedHalves.apply(x, permutation, half)
    return kept, changed


def affine(
    kept: Float[Tensor, "*B K"],
    changed: Float[Tensor, "*B R"],
    scale: Float[Tensor, "*B R"],
    shift: Float[Tensor, "*B R"],
    clamp: float,
    *,
    swap: bool = False,
) -> tuple[Float[Tensor, "*B C"], Float[Tensor, " *B"]]:
    """Moves one half to changed·exp(s) + shift with s = clamp·tanh(scale), and joins the halves.

    Args:
        kept: the half that stays, (..., K).
        changed: the half that the coupling changes, (..., R).
        scale: output of the scale network, (..., R), of any precision.
        shift: output of the shift network, (..., R), of any precision.
        clamp: bound of a channel's log-scale.
        swap: whether the changed half comes first.

    Returns:
        Both halves, (..., K + R), and log_det = Σ s, (...), in nats.
    """
    if not torch.is_grad_enabled():
        return _moved(kept, changed, scale, shift, clamp, swap)[:2]
    if _twice.get():
        log_scale = clamp * torch.tanh(scale.to(changed.dtype))
        moved = changed * log_scale.exp() + shift.to(changed.dtype)
        return torch.cat([moved, kept] if swap else [kept, moved], dim=-1), log_scale.sum(-1)
    whole, log_det = _Affine.apply(kept, changed, scale, shift, clamp, swap)
    return whole, log_det


def inverse_affine(
    moved: Float[Tensor, "*B R"], scale: Float[Tensor, "*B R"], shift: Float[Tensor, "*B R"], clamp: float
) -> tuple[Float[Tensor, "*B R"], Float[Tensor, " *B"]]:
    """Inverse of `affine` for the changed half.

    Args:
        moved: the changed half after `affine`, (..., R).
        scale: as given to `affine`, (..., R).
        shift: as given to `affine`, (..., R).
        clamp: bound of a channel's log-scale.

    Returns:
        The changed half before `affine`, (..., R), and the inverse's log_det, (...), in nats.
    """
    log_scale = clamp * torch.tanh(scale.to(moved.dtype))
    return (moved - shift) * torch.exp(-log_scale), -log_scale.sum(-1)


def in_autocast_precision(x: Tensor) -> Tensor:
    """Converts a tensor as autocast would for a matrix product, so that several products share one conversion.

    Args:
        x: any tensor.

    Returns:
        `x` in autocast's precision if autocast is on and `x` is float32; otherwise `x` itself.
    """
    wanted = in_short_precision(x.device) and x.dtype == torch.float32  # autocast leaves double precision alone
    return x.to(torch.get_autocast_dtype(x.device.type)) if wanted else x


class _PermutedHalves(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, permutation: Tensor, half: int) -> tuple[Tensor, Tensor]:
        ctx.permutation = permutation
        parts = permutation[:half], permutation[half:]
        return _taken(x, parts[0]), _taken(x, parts[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _taken(torch.cat(gradients, dim=-1), ctx.permutation.argsort()), None, None


def _taken(x: Tensor, channels: Tensor) -> Tensor:
    """x[..., channels]; torch is fast at this for matrices only."""
    return x.reshape(-1, x.shape[-1]).index_select(1, channels).reshape(*x.shape[:-1], len(channels))


class _Affine(Function):
    @staticmethod
    def forward(
        ctx: Any, kept: Tensor, changed: Tensor, scale: Tensor, shift: Tensor, clamp: float, swap: bool
    ) -> tuple[Tensor, Tensor]:
        whole, log_det, bounded, factor = _moved(kept, changed, scale, shift, clamp, swap)
        ctx.save_for_backward(changed, bounded, factor)
        ctx.clamp, ctx.swap, ctx.dtype = clamp, swap, scale.dtype
        return whole, log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        changed, bounded, factor = ctx.saved_tensors
        whole, log_det = gradients
        staying, moved = _halves(whole, changed.shape[-1], ctx.swap)
        by_changed = moved * factor
        by_log_scale = torch.addcmul(log_det.unsqueeze(-1), by_changed, changed)
        slope = (bounded * bounded).mul_(-ctx.clamp).add_(ctx.clamp)  # clamp·(1 − tanh²)
        return staying, by_changed, by_log_scale.mul_(slope).to(ctx.dtype), moved.to(ctx.dtype), None, None


def _moved(
    kept: Tensor, changed: Tensor, scale: Tensor, shift: Tensor, clamp: float, swap: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both halves joined, log_det, tanh(scale) and the factor of the changed half."""
    bounded = torch.tanh(scale.to(changed.dtype))
    log_scale = clamp * bounded
    log_det = log_scale.sum(-1)
    factor = log_scale.exp_()
    whole = changed.new_empty(*changed.shape[:-1], kept.shape[-1] + changed.shape[-1])
    staying, moved = _halves(whole, changed.shape[-1], swap)
    staying.copy_(kept)
    torch.addcmul(shift.to(changed.dtype), changed, factor, out=moved)
    return whole, log_det, bounded, factor


def _halves(whole: Tensor, changed: int, swap: bool) -> tuple[Tensor, Tensor]:
    """Views of the kept and of the changed channels."""
    kept = whole.shape[-1] - changed
    return (whole[..., changed:], whole[..., :changed]) if swap else (whole[..., :kept], whole[..., kept:])
