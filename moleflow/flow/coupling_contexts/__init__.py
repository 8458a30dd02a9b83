"""Contexts inside a coupling: what the neighbors of a patch tell its scale and shift networks.

A context sees x1 alone, the half of the channels that the coupling keeps, also of the neighbors: what it says does not
depend on what the coupling changes, so the coupling stays invertible and its Jacobian triangular.
"""

from collections.abc import Callable

from moleflow.flow.coupling_contexts.both import FixedContext, LearnedContext, NeighborAttention
from moleflow.flow.coupling_contexts.context import CouplingContext
from moleflow.flow.coupling_contexts.scale import scale_context

# A member makes a context of x1's channels, or none.
COUPLING_CONTEXTS: dict[str, Callable[..., CouplingContext | None]] = {
    "scale": scale_context,
    "both": LearnedContext,
    "both_fixed": FixedContext,
    "both_attention": NeighborAttention,
}
