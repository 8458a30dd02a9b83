"""What all contexts of a coupling have in common."""

from torch import nn


class CouplingContext(nn.Module):
    """Maps x1, (B, H, W, K), to a context, (B, H, W, K).

    Attributes:
        to_shift: whether the shift network sees it as well as the scale network.
    """

    to_shift = True
