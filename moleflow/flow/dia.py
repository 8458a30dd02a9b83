"""Deep invertible adapter (DIA): a product's own small flow behind the shared one."""

from torch import Tensor

from moleflow.flow.affine import in_autocast_precision
from moleflow.flow.coupling import AffineCoupling, Dims
from moleflow.flow.subnets import zero_mlp


class DIACoupling(AffineCoupling):
    """A coupling that starts as the identity; its log-scale is clamp·tanh(s/clamp).

    Source: docs/method.md, DIA and What the lab diary found: without it image scores lost 3 to 6 points.
    """

    def __init__(self, dims_in: Dims, *, clamp: float, dia_hidden: float, swap: bool) -> None:
        """Creates the coupling.

        Args:
            dims_in: FrEIA's list of input shapes, [(C,)].
            clamp: bound of a channel's log-scale.
            dia_hidden: channels between the networks' layers, as a multiple of C.
            swap: change the first half of the channels instead of the second.
        """
        super().__init__(dims_in, clamp=clamp, swap=swap)
        kept = self.channels - self.half if swap else self.half
        hidden = max(1, int(dia_hidden * self.channels))
        self.scale_net = zero_mlp(kept, hidden, self.channels - kept)
        self.shift_net = zero_mlp(kept, hidden, self.channels - kept)

    def _networks(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        seen = in_autocast_precision(kept)
        return self.scale_net(seen).to(kept.dtype) / self.clamp, self.shift_net(seen)
