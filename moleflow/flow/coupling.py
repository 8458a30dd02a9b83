"""The affine coupling of the base flow."""

from collections.abc import Sequence

import torch
from FrEIA.modules import InvertibleModule
from torch import Tensor

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
    Real NVP", 2017, equations 7 and 8; the scale context is the update notes'.
    """

    def __init__(
        self,
        dims_in: Dims,
        *,
        clamp: float,
        scale_context_kernel: int,
        lora_rank: int,
        lora_alpha: float,
        generator: torch.Generator,
    ) -> None:
        """Creates the coupling.

        Args:
            dims_in: FrEIA's list of input shapes, [(C,)].
            clamp: bound of a channel's log-scale.
            scale_context_kernel: side of the context's convolution in patches, odd; 0 for none.
            lora_rank: rank of the experts' LoRA; 0 for none.
            lora_alpha: strength of LoRA.
            generator: draws the permutation.
        """
        super().__init__(dims_in)
        (channels,) = dims_in[0]
        self.clamp, self.half = clamp, channels // 2
        rest = channels - self.half
        self.permutation: Tensor
        self.register_buffer("permutation", torch.randperm(channels, generator=generator))
        self.context = ScaleContext(self.half, scale_context_kernel) if scale_context_kernel else None
        seen = 2 * self.half if self.context else self.half
        self.scale_net = lora_mlp(seen, 2 * self.half, rest, rank=lora_rank, alpha=lora_alpha)
        self.shift_net = lora_mlp(self.half, 2 * self.half, rest, rank=lora_rank, alpha=lora_alpha)

    def forward(
        self, x_or_z: Sequence[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """See base class docstring."""
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
        """See base class docstring."""
        return input_dims
