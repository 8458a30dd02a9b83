"""What the parts of a density report while it learns: columns of the learning curves.

A module reports by a method `reported`, which gets what `forward` gets. Single numbers that several modules report
under one name become their mean; arrays also their standard deviation, smallest and largest value.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Reports = dict[str, list[Tensor]]


@runtime_checkable
class Reporting(Protocol):
    """A module that tells numbers about itself."""

    def reported(self, x: Tensor) -> dict[str, Tensor]:
        """Tells what is worth a column of the learning curve.

        Args:
            x: what `forward` is given.

        Returns:
            Numbers, of any shape, by the name of their column.
        """


@contextmanager
def watching(density: nn.Module) -> Iterator[Reports]:
    """Notes what the modules report, in every forward pass.

    Args:
        density: base and expert; reports are made while an expert's tensors stand in its place.

    Yields:
        What was reported, by name; whoever has read it clears it.
    """
    seen: Reports = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        assert isinstance(module, Reporting)
        with torch.no_grad():
            for name, value in module.reported(*inputs).items():
                seen.setdefault(name, []).append(value.detach().float().flatten())

    handles = [module.register_forward_hook(note) for module in density.modules() if isinstance(module, Reporting)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def columns(seen: Reports) -> dict[str, Tensor]:
    """Sums up what was reported.

    Args:
        seen: values by name.

    Returns:
        One number per column, on the device that the values lie on.
    """
    found: dict[str, Tensor] = {}
    for name, values in seen.items():
        every = torch.cat(values)
        found[name] = every.mean()
        if any(value.numel() > 1 for value in values):
            spread = every.std(correction=0)
            found |= {f"{name}_std": spread, f"{name}_min": every.min(), f"{name}_max": every.max()}
    return found
