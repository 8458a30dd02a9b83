"""Position codes: they tell the flow where on the grid a patch is.

A position is made from the number of channels and the keys of params.yaml that it names as keyword-only arguments, and
maps patch features (B, H, W, C) to (B, H, W, C). It adds no log_det. What lies below its attribute `own` is each
product's own; all else is shared.
"""

from torch import nn

from moleflow.flow.positions.content import ContentPosition, HybridPosition
from moleflow.flow.positions.relative import RelativePosition
from moleflow.flow.positions.sincos import NoPosition, SinCos
from moleflow.flow.positions.tape import Tape

POSITIONS: dict[str, type[nn.Module]] = {
    "none": NoPosition,
    "sincos": SinCos,
    "relative": RelativePosition,
    "content": ContentPosition,
    "hybrid": HybridPosition,
    "tape": Tape,
}
