"""Contexts: layers before the flow by which a patch sees others; params.yaml lists them in their order.

A context is made from the number of channels and the keys of params.yaml that it names as keyword-only arguments, and
maps patches (B, H, W, C) to (B, H, W, C). It adds no log_det. What lies below its attribute `own` is each product's
own; all else is shared.
"""

from torch import nn

from moleflow.flow.contexts.adaptive_mixer import AdaptiveMixer
from moleflow.flow.contexts.global_context import GlobalContext
from moleflow.flow.contexts.mixer import Mixer
from moleflow.flow.contexts.multi_scale import MultiScaleContext, TaskMultiScaleContext
from moleflow.flow.contexts.patch_attention import PatchAttention
from moleflow.flow.contexts.semantic import SemanticContext

CONTEXTS: dict[str, type[nn.Module]] = {
    "semantic": SemanticContext,
    "mixer": Mixer,
    "adaptive_mixer": AdaptiveMixer,
    "ms_context": MultiScaleContext,
    "task_ms_context": TaskMultiScaleContext,
    "global": GlobalContext,
    "patch_attention": PatchAttention,
}
