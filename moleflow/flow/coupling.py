"""Affine couplings: what those of the base flow and of the DIA share, and the base's own."""

from collections.abc import Sequence

import torch
from FrEIA.modules import InvertibleModule
from torch import Tensor

from moleflow.config.registry import Settings, call, choose
from moleflow.flow.affine import affine, in_autocast_precision, inverse_affine, permuted_halves
from moleflow.flow.coupling_contexts import COUPLING_CONTEXTS
from moleflow.flow.subnets import expert_mlp

Dims = list[tuple[int, ...]]


class AffineCoupling(InvertibleModule):
    """Scales and shifts one part of the channels by what networks say of the other.

    y2 = x2·exp(clamp·tanh(s)) + t, with s and t from x1. Works on channels-last maps: tensors are (B, H, W, C), the
    Jacobian is the log-determinant of each patch, (B, H, W), in nats. A subclass has the networks. See FrEIA's
    InvertibleModule for the contract.

    Source: Dinh et al., "Density estimation using Real NVP", 2017, equations 7 and 8; docs/method.md, Couplings.
    """

    def __init__(self, dims_in: Dims, *, clamp: float, swap: bool) -> None:
        """Says where the channels are split.

        Args:
            dims_in: FrEIA's list of input shapes, [(C,)].
            clamp: bound of a channel's log-scale.
            swap: change the first half of the channels instead of the second.
        """
        super().__init__(dims_in)
        (self.channels,) = dims_in[0]
        self.clamp, self.swap, self.half = clamp, swap, self.channels // 2

    def forward(
        self, x_or_z: Sequence[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """Transforms patches, or with `rev` back.

        Args:
            x_or_z: one tensor, (B, H, W, C).
            c: conditions; not used.
            rev: whether to compute the inverse.
            jac: not used; the log-determinant is always computed.

        Returns:
            One tensor, (B, H, W, C), and the log-determinant, (B, H, W), in nats.
        """
        (x,) = x_or_z
        if rev:
            kept, moved = self._halves(x)
            changed, log_det = inverse_affine(moved, *self._networks(kept), self.clamp)
            whole = torch.cat((changed, kept) if self.swap else (kept, changed), dim=-1)
            return (self._unpermuted(whole),), log_det
        kept, changed = self._permuted_halves(x)
        whole, log_det = affine(kept, changed, *self._networks(kept), self.clamp, swap=self.swap)
        return (whole,), log_det

    def output_dims(self, input_dims: Dims) -> Dims:
        """Output shapes of the coupling.

        Args:
            input_dims: FrEIA's list of input shapes.

        Returns:
            The same.
        """
        return input_dims

    def _halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The kept and the changed channels."""
        first, second = x.split([self.half, self.channels - self.half], dim=-1)
        return (second, first) if self.swap else (first, second)

    def _permuted_halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The kept and the changed channels in the forward direction; a subclass may permute them first."""
        return self._halves(x)

    def _unpermuted(self, whole: Tensor) -> Tensor:
        return whole

    def _networks(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Scale, before it is bounded, and shift."""
        raise NotImplementedError


class BaseCoupling(AffineCoupling):
    """A coupling of the base flow: permutes the channels first, and its networks carry what the experts adapt.

    s comes from [x1, context(x1)], t from x1 or, if the context says so, from what s comes from. The permutation is an
    index saved with the base, never a matrix.
    Source: docs/method.md, Couplings.
    """

    def __init__(self, dims_in: Dims, *, settings: Settings, generator: torch.Generator) -> None:
        """Creates the coupling.

        Args:
            dims_in: FrEIA's list of input shapes, [(C,)].
            settings: `clamp`, the bound of a channel's log-scale; `coupling_context`, a name in `COUPLING_CONTEXTS`;
                and what the context and the networks ask for.
            generator: draws the permutation.

        Raises:
            ChoiceError: the context is unknown.
        """
        super().__init__(dims_in, clamp=settings["clamp"], swap=False)
        rest = self.channels - self.half
        self.permutation: Tensor
        self.register_buffer("permutation", torch.randperm(self.channels, generator=generator))
        context = choose(COUPLING_CONTEXTS, settings["coupling_context"], "coupling_context")
        self.context = call(context, settings, self.half)
        seen = 2 * self.half if self.context else self.half
        self.scale_net = expert_mlp(seen, 2 * self.half, rest, settings)
        shown = seen if self.context and self.context.to_shift else self.half
        self.shift_net = expert_mlp(shown, 2 * self.half, rest, settings)

    def _permuted_halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return permuted_halves(x, self.permutation, self.half)

    def _unpermuted(self, whole: Tensor) -> Tensor:
        return whole[..., self.permutation.argsort()]

    def _networks(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Scale, before it is bounded, and shift."""
        kept = in_autocast_precision(kept)
        if self.context is None:
            return self.scale_net(kept), self.shift_net(kept)
        seen = torch.cat([kept, self.context(kept)], dim=-1)
        return self.scale_net(seen), self.shift_net(seen if self.context.to_shift else kept)
