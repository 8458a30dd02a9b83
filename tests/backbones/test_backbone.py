"""The frozen backbone: pinned weights, eval mode for ever, and errors that say what is to be had."""

import pytest
import torch
from safetensors.torch import save_file
from samples import CPU

from moleflow.backbones.backbone import Backbone, BackboneError, timm
from moleflow.backbones.packaged_weights import packaged_weights
from moleflow.config.registry import ChoiceError

LITE0 = "tf_efficientnet_lite0.in1k"


def backbone(name, layers, weights, img_size=224, device=CPU):
    return Backbone(name, layers, weights, img_size=img_size, device=device)


def save_random(name, path):
    """A safetensors file with random weights, and the model that has them."""
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    save_file(model.state_dict(), path)
    return model


@pytest.fixture(scope="module")
def lite0():
    return backbone(LITE0, [2, 3], "package")


def test_packaged_weights_see_a_picture_as_imagenet_does(lite0):
    """Weights put into the wrong places would not tell a photograph of a cat."""
    from skimage import data

    full = timm.create_model(LITE0).eval()
    full.load_state_dict(timm_weights())
    cat = torch.from_numpy(data.chelsea()[:, 75:375].copy()).permute(2, 0, 1)[None].float()
    view = torch.nn.functional.interpolate(cat, size=(224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        classes = full((view - lite0.mean) / lite0.std).softmax(1)[0]
    assert classes[281:286].sum() > 0.5  # tabby, tiger, Persian, Siamese, Egyptian


def timm_weights():
    return packaged_weights(LITE0, timm.create_model(LITE0).state_dict())


def test_maps_are_those_of_the_asked_layers_and_repeat(lite0):
    images = 255 * torch.rand(2, 3, 224, 224)
    maps = lite0(images)
    assert [tuple(layer.shape) for layer in maps] == [(2, 40, 28, 28), (2, 112, 14, 14)]
    assert all(a.equal(b) for a, b in zip(maps, lite0(images), strict=True))


def test_stays_frozen_in_eval_mode(lite0):
    assert not lite0.train().training
    assert not lite0.model.training
    assert not any(parameter.requires_grad for parameter in lite0.parameters())


def test_weights_from_a_file_and_their_digest(tmp_path):
    name = "test_resnet.r160_in1k"
    model = save_random(name, tmp_path / "weights.safetensors")
    loaded = backbone(name, [1, 2], str(tmp_path / "weights.safetensors"))
    images = 255 * torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        expected = model.forward_intermediates((images - loaded.mean) / loaded.std, intermediates_only=True)
    for theirs, ours in zip([expected[1], expected[2]], loaded(images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    model.conv1[0].weight.data += 1
    save_file(model.state_dict(), tmp_path / "other.safetensors")
    other = backbone(name, [1, 2], str(tmp_path / "other.safetensors"))
    assert loaded.weights_digest != other.weights_digest


@pytest.mark.parametrize(
    ("name", "layers", "shapes"),
    [
        ("test_resnet.r160_in1k", [1, 2], [(32, 16), (48, 8)]),
        ("test_convnext.r160_in1k", [1, 2], [(32, 8), (48, 4)]),
        ("test_efficientnet.r160_in1k", [1, 2], [(24, 16), (32, 8)]),
        ("test_vit.r160_in1k", [1, 4], [(64, 4), (64, 4)]),
        ("test_vit2.r160_in1k", [1, 4], [(64, 4), (64, 4)]),
    ],
)
def test_every_architecture_gives_maps(tmp_path, name, layers, shapes):
    save_random(name, tmp_path / "weights.safetensors")
    maps = backbone(name, layers, str(tmp_path / "weights.safetensors"), img_size=64)(255 * torch.rand(2, 3, 64, 64))
    assert [(layer.shape[1], layer.shape[2]) for layer in maps] == shapes
    assert all(layer.shape[2] == layer.shape[3] for layer in maps)


@pytest.mark.parametrize("name", ["test_vit.r160_in1k", "test_vit2.r160_in1k"])
def test_a_transformers_maps_are_its_patch_tokens_in_their_places(tmp_path, name):
    """Class and register tokens are left out; the second has registers."""
    model = save_random(name, tmp_path / "weights.safetensors")
    frozen = backbone(name, [1, 3], str(tmp_path / "weights.safetensors"), img_size=160)
    tokens = []
    for block in (1, 3):
        model.blocks[block].register_forward_hook(lambda module, given, out: tokens.append(out))
    images = 255 * torch.rand(2, 3, 160, 160)
    with torch.inference_mode():
        model((images - frozen.mean) / frozen.std)
    for layer, expected in zip(frozen(images), tokens, strict=True):
        patches = expected[:, model.num_prefix_tokens :]
        torch.testing.assert_close(layer.flatten(2).transpose(1, 2), patches)


def test_position_table_is_interpolated_to_the_image_size(tmp_path):
    """At another size the table is stretched, not cut: its corners keep their values."""
    model = save_random("test_vit.r160_in1k", tmp_path / "weights.safetensors")
    table = torch.linspace(-1, 1, 10).repeat(10, 1).reshape(1, 100, 1).expand(1, 100, 64)  # left to right
    prefix = model.num_prefix_tokens
    model.pos_embed.data[:, prefix:] = table
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    frozen = backbone("test_vit.r160_in1k", [1], str(tmp_path / "weights.safetensors"), img_size=320)
    stretched = frozen.model.model.pos_embed[0, prefix:, 0].reshape(20, 20)
    torch.testing.assert_close(stretched[0], stretched[19])
    assert (stretched[0].diff() > 0).all()
    assert abs(float(stretched[0, 0]) + 1) < 0.1
    assert abs(float(stretched[0, -1]) - 1) < 0.1


def test_a_model_whose_maps_end_with_the_channels_gives_them_first(tmp_path):
    save_random("swin_tiny_patch4_window7_224.ms_in1k", tmp_path / "weights.safetensors")
    frozen = backbone("swin_tiny_patch4_window7_224.ms_in1k", [1, 2], str(tmp_path / "weights.safetensors"))
    maps = frozen(255 * torch.rand(1, 3, 224, 224))
    assert [tuple(layer.shape) for layer in maps] == [(1, 192, 28, 28), (1, 384, 14, 14)]


def lacking(path):
    state = timm.create_model("test_resnet.r160_in1k").state_dict()
    del state["layer1.0.conv1.weight"]
    save_file(state, path)


def broken(path):
    path.write_text("no tensors")


@pytest.mark.parametrize(
    ("damage", "said"), [(lacking, "lacks layer1.0.conv1.weight of test_resnet"), (broken, "is not a safetensors file")]
)
def test_file_that_would_leave_weights_random_is_refused(tmp_path, damage, said):
    damage(tmp_path / "weights.safetensors")
    with pytest.raises(BackboneError, match=said):
        backbone("test_resnet.r160_in1k", [1], str(tmp_path / "weights.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no_such_net", [1], "package"), "backbone: timm has no model 'no_such_net'"),
        (
            ("tf_efficientnet_lite0.in21k", [2], "package"),
            "a tag that timm does not know; it knows .*lite0.in1k",
        ),
        ((LITE0, [9], "package"), r"tf_efficientnet_lite0.in1k has no feature maps for layers: \[9\]"),
        ((LITE0, [2], "weights.pth"), "'weights.pth' is not a file; use 'package', 'hub' or the path"),
    ],
)
def test_what_is_not_to_be_had_is_said(arguments, said):
    with pytest.raises(BackboneError, match=said):
        backbone(*arguments)


@pytest.mark.parametrize(("layers", "img_size"), [([1, 40], 160), ([1], 168)])
def test_a_transformers_blocks_and_patch_size_are_checked(tmp_path, layers, img_size):
    save_random("test_vit.r160_in1k", tmp_path / "weights.safetensors")
    with pytest.raises(BackboneError, match=rf"layers: .*{layers[-1]}\], img_size: {img_size}"):
        backbone("test_vit.r160_in1k", layers, str(tmp_path / "weights.safetensors"), img_size=img_size)


def test_without_a_network_the_ways_out_are_named(monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("socket.create_connection", no_network)
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the hub's own retries
    with pytest.raises(BackboneError, match=r"backbone_weights: hub: .* cannot be loaded .*'package' or the path"):
        backbone("resnet18.a1_in1k", [1], "hub")


def test_backbone_without_a_package_lists_those_with_one():
    with pytest.raises(ChoiceError, match="tf_efficientnet_lite0"):
        backbone("resnet18.a1_in1k", [1], "package")
