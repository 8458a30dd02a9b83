"""Deep invertible adapter (DIA): a product's own small flow behind the shared one."""

from collections.abc import Sequence

import torch
from FrEIA.modules import InvertibleModule
from torch import Tensor

from moleflow.flow.affine import affine, in_autocast_precision, inverse_affine
from moleflow.flow.coupling import Dims
from moleflow.flow.subnets import zero_mlp


class DIACoupling(InvertibleModule):
    """A RealNVP coupling that starts as the identity; log-scale = clamp·tanh(s/clamp).

    Tensors are (B, H, W, C), the Jacobian is (B, H, W), in nats. See FrEIA's InvertibleModule for
    the contract. Source: docs/method.md, DIA and What the lab diary found: without it image scores lost
    3 to 6 points.
    """

    def __init__(self, dims_in: Dims, *, clamp: float, swap: bool) -> None:
        """Creates the coupling.

        Args:
            dims_in: FrEIA's list of input shapes, [(C,)].
            clamp: bound of a channel's log-scale.
            swap: change the first half of the channels instead of the second.
        """
        super().__init__(dims_in)
        (channels,) = dims_in[0]
        self.clamp, self.swap, self.split = clamp, swap, channels // 2
        kept = channels - self.split if swap else self.split
        self.scale_net = zero_mlp(kept, channels // 2, channels - kept)
        self.shift_net = zero_mlp(kept, channels // 2, channels - kept)

    def forward(
        self, x_or_z: Sequence[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """Transforms latents, or with `rev` back.

        Args:
            x_or_z: one tensor, (B, H, W, C).
            c: conditions; not used.
            rev: whether to compute the inverse.
            jac: not used; the log-determinant is always computed.

        Returns:
            One tensor, (B, H, W, C), and the log-determinant, (B, H, W), in nats.
        """
        (x,) = x_or_z
        first, second = x.split([self.split, x.shape[-1] - self.split], dim=-1)
        kept, changed = (second, first) if self.swap else (first, second)
        seen = in_autocast_precision(kept)
        scale, shift = self.scale_net(seen).to(x.dtype) / self.clamp, self.shift_net(seen)
        if rev:
            changed, log_det = inverse_affine(changed, scale, shift, self.clamp)
            return (torch.cat((changed, kept) if self.swap else (kept, changed), dim=-1),), log_det
        whole, log_det = affine(kept, changed, scale, shift, self.clamp, swap=self.swap)
        return (whole,), log_det

    def output_dims(self, input_dims: Dims) -> Dims:
        """Output shapes of the coupling.

        Args:
            input_dims: FrEIA's list of input shapes.

        Returns:
            The same.
        """
        return input_dims
