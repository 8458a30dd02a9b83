"""How much of the code of sines and cosines each product takes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moleflow.flow.positions.sincos import SinCos


class Tape(SinCos):
    """x + σ(g)·code, where g is each product's own and starts at 0.

    Its learning rate may be a multiple of the others': `position_lr`. Source: docs/method.md, Position code.
    """

    def __init__(self, channels: int) -> None:
        """Creates the code; a new expert takes half of it.

        Args:
            channels: C, channels of a patch feature, a multiple of 4.

        Raises:
            MoleflowError: `channels` is not a multiple of 4.
        """
        super().__init__(channels)
        self.own = nn.ParameterDict({"strength": torch.tensor(0.0)})

    def forward(self, x: Float[Tensor, "B H W C"]) -> Float[Tensor, "B H W C"]:
        """Adds the product's part of the code.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            Patch features with their code, (B, H, W, C).
        """
        return x + self.own["strength"].sigmoid() * self.code_for(x)

    def reported(self, x: Float[Tensor, "B H W C"]) -> dict[str, Tensor]:
        """See `Reporting`.

        Args:
            x: patch features, (B, H, W, C).

        Returns:
            tape_strength: σ(g).
        """
        return {"tape_strength": self.own["strength"].sigmoid()}
