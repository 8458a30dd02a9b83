"""The affine coupling of the base flow."""

from collections.abc import Sequence

import torch
from FrEIA.modules import InvertibleModule
from torch import Tensor

from moleflow.config.registry import Settings, make
from moleflow.flow.affine import affine, in_autocast_precision, inverse_affine, permuted_halves
from moleflow.flow.context import ScaleContext
from moleflow.flow.subnets import lora_mlp

Dims = list[tuple[int, ...]]


class LoRACoupling(InvertibleModule):
    """Permute the channels, split them, and scale and shift one half by the other.

    y2 = x2·exp(clamp·tanh(s)) + t with s from [x1, context(x1)] and t from x1. The permutation is
    an index saved with the base, never a matrix. Works on channels-last maps: tensors are
    (B, H, W, C), the Jacobian is the log-determinant of each patch, (B, H, W), in nats.

    See FrEIA's InvertibleModule for the contract. Source: Dinh et al., "Density estimation using
    Real NVP", 2017, equations 7 and 8; docs/method.md, Couplings, for the scale context.
    """

    def __init__(self, dims_in: Dims, *, settings: Settings, generator: torch.Generator) -> None:
        """Creates the coupling.

        Args:
            dims_in: FrEIA's list of input shapes, [(C,)].
            settings: `clamp`, the bound of a channel's log-scale; `scale_context_kernel`, the side of the context's
                convolution in patches, odd, 0 for none; and what the networks ask for.
            generator: draws the permutation.
        """
        super().__init__(dims_in)
        (channels,) = dims_in[0]
        self.clamp, self.half = settings["clamp"], channels // 2
        rest = channels - self.half
        self.permutation: Tensor
        self.register_buffer("permutation", torch.randperm(channels, generator=generator))
        self.context = make(ScaleContext, settings, self.half) if settings["scale_context_kernel"] else None
        seen = 2 * self.half if self.context else self.half
        self.scale_net = lora_mlp(seen, 2 * self.half, rest, settings)
        self.shift_net = lora_mlp(self.half, 2 * self.half, rest, settings)

    def forward(
        self, x_or_z: Sequence[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """Transforms patches, or with `rev` latents back.

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
            kept, changed = x[..., : self.half], x[..., self.half :]
            changed, log_det = inverse_affine(changed, *self._networks(kept), self.clamp)
            return (torch.cat([kept, changed], dim=-1)[..., self.permutation.argsort()],), log_det
        kept, changed = permuted_halves(x, self.permutation, self.half)
        whole, log_det = affine(kept, changed, *self._networks(kept), self.clamp)
        return (whole,), log_det

    def _networks(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Scale, before it is bounded, and shift."""
        kept = in_autocast_precision(kept)
        seen = kept if self.context is None else torch.cat([kept, self.context(kept)], dim=-1)
        return self.scale_net(seen), self.shift_net(kept)

    def output_dims(self, input_dims: Dims) -> Dims:
        """Output shapes of the coupling.

        Args:
            input_dims: FrEIA's list of input shapes.

        Returns:
            The same.
        """
        return input_dims
