"""Frozen timm backbones; the only file that imports timm."""

import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Num
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from moleflow.backbones.batch_norm import folded, trial_image
from moleflow.backbones.packaged_weights import PACKAGED, packaged_weights
from moleflow.backbones.tiles import seen_in_tiles, tiled_side
from moleflow.backbones.torchvision_repair import repair_torchvision
from moleflow.config.errors import MoleflowError

repair_torchvision()

import timm  # noqa: E402
from timm.data.config import resolve_data_config  # noqa: E402
from timm.layers.format import Format  # noqa: E402
from timm.models import PretrainedCfg  # noqa: E402
from timm.models._registry import _deprecated_models  # noqa: E402

SOURCES = ("hf-hub:", "hf_hub:", "local-dir:")  # of models that are not timm's own, as it names them

logging.getLogger("timm.models._builder").setLevel(logging.ERROR)  # it warns of every weight after the last layer used


class BackboneError(MoleflowError):
    """A backbone or its weights are not available."""


class Backbone(nn.Module):
    """A frozen feature extractor in eval mode.

    Attributes:
        name: timm's name with its tag, or hf-hub:<owner>/<model> or local-dir:<folder> as timm takes them.
        layers: timm's feature indices, in the order given.
        side: of the images that it takes, in pixels.
        weights_digest: SHA-256 of the loaded parameters and buffers, the store's proof of origin.
    """

    def __init__(
        self, name: str, layers: list[int], weights: str, *, img_size: int, tiles: int = 1, device: torch.device
    ) -> None:
        """Creates the backbone.

        Args:
            name: timm's name with its pinned tag, "tf_efficientnet_lite0.in1k".
            layers: indices of timm's feature maps; of a transformer, of its blocks.
            weights: "package" (a pinned Python package carries them), "hub" (timm downloads them)
                or the path of a safetensors file with timm's parameter names.
            img_size: side of a tile in pixels; a transformer's position table is interpolated to it.
            tiles: tiles along a side of an image; 1 sees the image as a whole.
            device: where it runs.

        Raises:
            BackboneError: name, layer, size or weights are not available; the message lists what is.
            ChoiceError: weights are "package", and no package has those of this backbone.
            PackagedWeightsError: the package is not installed.
        """
        super().__init__()
        _require_known(name)
        self.name, self.layers = name, list(layers)
        self.device = device
        self.model = _feature_maps(name, layers, weights, img_size, tiles)
        self.size, self.tiles, self.cut = img_size, tiles, _coarsest(self.model)
        self.side = tiled_side(img_size, tiles, self.cut)
        config = resolve_data_config({}, pretrained_cfg=_timm_config(name).to_dict())
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", 255 * torch.tensor(config["mean"]).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(config["std"]).view(1, 3, 1, 1))
        self.weights_digest = _digest(self.model)
        self.eval()
        image = (trial_image(img_size) - self.mean) / self.std  # as forward does
        self.model = folded(self.model, image).requires_grad_(False)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.to(self.device)

    def train(self, mode: bool = True) -> "Backbone":
        """Keeps the backbone in eval mode: batch statistics must never move.

        Args:
            mode: not used.

        Returns:
            The backbone itself.
        """
        return super().train(False)

    @torch.inference_mode()
    def forward(self, images: Num[Tensor, "B 3 S S"]) -> list[Float[Tensor, "B C H W"]]:
        """Computes the raw maps of the chosen layers; a transformer's class and register tokens are left out.

        Args:
            images: RGB values in 0..255, (B, 3, S, S), uint8 or float; S is `side`.

        Returns:
            One map per layer, (B, C_l, H_l, W_l), on the backbone's device.
        """
        pixels = (images.to(self.device).float() - self.mean) / self.std  # bytes travel, not floats
        # On CUDA convolutions would round to TF32: features would differ from a processor's in the third digit.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            if self.tiles == 1:
                return self._maps(pixels)
            return seen_in_tiles(self._maps, pixels, size=self.size, tiles=self.tiles, cut=self.cut)

    def _maps(self, pixels: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.model(pixels.contiguous(memory_format=torch.channels_last))
        return _channels_first(self.model, maps)


def check_backbone(name: str, layers: list[int], weights: str, img_size: int, tiles: int = 1) -> list[Tensor]:
    """Checks everything about a backbone that does not need its weights.

    Args:
        name: timm's name with its tag.
        layers: indices of timm's feature maps; of a transformer, of its blocks.
        weights: "package", "hub" or the path of a safetensors file.
        img_size: side of a tile in pixels.
        tiles: tiles along a side of an image.

    Returns:
        Its maps of one image, (1, C_l, H_l, W_l) each, without values (device "meta").

    Raises:
        BackboneError: name, layer, size or the weights' source are not available; the message lists what is.
    """
    _require_known(name)
    _timm_config(name)
    if weights == "package" and name not in PACKAGED:
        raise BackboneError(
            f"backbone_weights: no package carries {name}, only {', '.join(PACKAGED)}; "
            "use 'hub' or the path of a safetensors file"
        )
    if weights not in {"package", "hub"}:
        _require_file(name, weights)
    with torch.device("meta"), torch.inference_mode():
        model = _untrained(name, layers, img_size, tiles).eval()
        cut = _coarsest(model)
        side = tiled_side(img_size, tiles, cut)

        def see(images: Tensor) -> list[Tensor]:
            return _channels_first(model, model(images))

        return seen_in_tiles(see, torch.empty(1, 3, side, side), size=img_size, tiles=tiles, cut=cut)


def seen_side(name: str, layers: list[int], img_size: int, tiles: int) -> int:
    """Side of the images that a backbone takes.

    Args:
        name: timm's name with its tag.
        layers: timm's feature indices.
        img_size: side of a tile in pixels.
        tiles: tiles along a side of an image.

    Returns:
        The side, in pixels.

    Raises:
        BackboneError: there are no such layers, or not for this size.
    """
    with torch.device("meta"):
        return tiled_side(img_size, tiles, _coarsest(_untrained(name, layers, img_size, tiles)))


def _coarsest(model: Any) -> int:
    """The largest stride of a model's layers, in pixels."""
    return int(max(model.feature_info.reduction()))


def _channels_first(model: Any, maps: list[Tensor]) -> list[Tensor]:
    last = getattr(model, "output_fmt", None) == Format.NHWC
    return [layer.permute(0, 3, 1, 2) for layer in maps] if last else maps


def _require_known(name: str) -> None:
    if name.startswith(SOURCES):
        return  # whether there is such a model, its config tells
    renamed = _deprecated_models.get(name.split(".")[0])
    if renamed is not None:
        raise BackboneError(f"backbone: {name} is called {renamed} by timm now; use that name")
    if not timm.is_model(name):
        if "/" in name:
            raise BackboneError(
                f"backbone: timm has no model {name!r}; for one of the Hugging Face hub use hf-hub:{name}"
            )
        close = ", ".join(timm.list_models(f"*{name.split('.')[0]}*")[:5]) or "timm.list_models()"
        raise BackboneError(f"backbone: timm has no model {name!r}; see {close}")


def _require_file(name: str, weights: str) -> None:
    if not Path(weights).is_file():
        raise BackboneError(
            f"backbone_weights: {weights!r} is not a file; use 'package', 'hub' or the path of a "
            f"safetensors file with the weights of {name}"
        )


@cache
def _timm_config(name: str) -> Any:
    if name.startswith(SOURCES):
        try:
            with torch.device("meta"):
                model: Any = timm.create_model(name)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise BackboneError(
                f"backbone: {name} cannot be loaded ({reason}); check the name, or without a network use a folder with "
                "its config.json and weights: local-dir:/path"
            ) from error
        return PretrainedCfg(**model.pretrained_cfg)
    try:
        return timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        known = ", ".join(timm.list_pretrained(f"{name.split('.')[0]}.*")) or "no tag"
        raise BackboneError(f"backbone: {name} has a tag that timm does not know; it knows {known}") from error


def _untrained(name: str, layers: list[int], img_size: int, tiles: int) -> Any:
    """timm's model with random weights; refuses layers and sizes that it cannot have."""
    fixed = _timm_config(name).fixed_input_size
    try:
        model: Any = timm.create_model(name, features_only=True, out_indices=layers, **_size(name, img_size))
        coarsest = _coarsest(model)
        if (fixed or tiles > 1) and img_size % coarsest:
            raise ValueError(f"img_size must be a multiple of {coarsest}")
        if tiles > 1 and img_size < 4 * coarsest:
            raise ValueError(f"with tiles, img_size must be at least {4 * coarsest}")
    except (IndexError, AssertionError, ValueError, RuntimeError) as error:
        raise BackboneError(
            f"backbone: {name} has no feature maps for layers: {layers}, img_size: {img_size} ({error})"
        ) from error
    return model


def _size(name: str, img_size: int) -> dict[str, Any]:
    return {"img_size": img_size} if _timm_config(name).fixed_input_size else {}


def _feature_maps(name: str, layers: list[int], weights: str, img_size: int, tiles: int) -> nn.Module:
    _untrained(name, layers, img_size, tiles)
    source: dict[str, Any] = {} if weights == "hub" else {"state_dict": _read_weights(name, weights)}
    size = _size(name, img_size)
    try:
        return timm.create_model(
            name, features_only=True, out_indices=layers, pretrained=True, pretrained_cfg_overlay=source, **size
        )
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BackboneError(
            f"backbone_weights: {weights}: the weights of {name} cannot be loaded ({reason}); "
            "without a network use 'package' or the path of a safetensors file"
        ) from error


def _read_weights(name: str, weights: str) -> dict[str, Tensor]:
    """All parameters and buffers by timm's names; timm itself would leave missing ones random."""
    expected = timm.create_model(name).state_dict()
    if weights == "package":
        return packaged_weights(name, expected)
    _require_file(name, weights)
    try:
        state = load_file(weights)
    except SafetensorError as error:
        raise BackboneError(f"backbone_weights: {weights} is not a safetensors file ({error})") from error
    classifier = _timm_config(name).classifier or ()
    heads = tuple(f"{head}." for head in ([classifier] if isinstance(classifier, str) else classifier))
    needed = {key: tensor for key, tensor in expected.items() if not key.startswith(heads)}
    missing = [key for key in needed if key not in state and not key.endswith("num_batches_tracked")]
    if missing:
        raise BackboneError(
            f"backbone_weights: {weights} lacks {missing[0]} of {name}; "
            "save timm's own state_dict, all parameters and buffers"
        )
    return state


def _digest(module: nn.Module) -> str:
    total = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        total.update(name.encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()
