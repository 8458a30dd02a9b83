"""Alignments: each product's own first step, before the shared flow.

An alignment is made from the number of channels, whether its product belongs to the first task, and the keys of
params.yaml that it names as keyword-only arguments. `Alignment` says what it does.
"""

from moleflow.flow.alignments.alignment import Alignment, NoAlignment
from moleflow.flow.alignments.bounded import Affine, LayerNorm
from moleflow.flow.alignments.film import FiLM, SoftNorm
from moleflow.flow.alignments.instance_mlp import InstanceMLP

ALIGNMENTS: dict[str, type[Alignment]] = {
    "none": NoAlignment,
    "affine": Affine,
    "layer_norm": LayerNorm,
    "instance_mlp": InstanceMLP,
    "film": FiLM,
    "soft_norm": SoftNorm,
}
