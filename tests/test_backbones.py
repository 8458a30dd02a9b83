"""The frozen backbone: pinned weights, eval mode for ever, and errors that say what is to be had."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_image
from safetensors.torch import save_file
from tqdm import tqdm

from moleflow.backbones import Backbone, BackboneError, timm
from moleflow.choices import ChoiceError
from moleflow.datasets.images import image_pixels
from moleflow.extraction import extract

LITE0 = "tf_efficientnet_lite0.in1k"


@pytest.fixture(scope="module")
def lite0():
    return Backbone(LITE0, [2, 3], "package")


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
    from moleflow.backbones import _efficientnet_lite0

    return _efficientnet_lite0(LITE0)


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
    model = timm.create_model("test_resnet.r160_in1k")
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    loaded = Backbone("test_resnet.r160_in1k", [1, 2], str(tmp_path / "weights.safetensors"))
    assert loaded.model.conv1[0].weight.equal(model.conv1[0].weight)
    model.conv1[0].weight.data += 1
    save_file(model.state_dict(), tmp_path / "other.safetensors")
    other = Backbone("test_resnet.r160_in1k", [1, 2], str(tmp_path / "other.safetensors"))
    assert loaded.weights_digest != other.weights_digest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no_such_net", [1], "package"), "backbone: timm has no model 'no_such_net'"),
        ((LITE0, [9], "package"), r"layers: \[9\]"),
        ((LITE0, [2], "weights.pth"), "'weights.pth' is no file; use 'package', 'hub' or the path"),
    ],
)
def test_what_is_not_to_be_had_is_said(arguments, said):
    with pytest.raises(BackboneError, match=said):
        Backbone(*arguments)


def test_backbone_without_a_package_lists_those_with_one():
    with pytest.raises(ChoiceError, match="tf_efficientnet_lite0"):
        Backbone("resnet18.a1_in1k", [1], "package")


def test_extraction_is_the_backbone_over_every_image_in_order(lite0, tmp_path):
    paths = [str(save_image(tmp_path / f"{number}.png", seed=number)) for number in range(5)]
    with tqdm(total=5, disable=True) as bar:
        batches = list(
            extract(lite0, paths, lambda path: image_pixels(Path(path), 64, "stretch"), batch_size=2, bar=bar)
        )
    assert [len(batch[0]) for batch in batches] == [2, 2, 1]
    images = torch.from_numpy(
        np.stack([image_pixels(tmp_path / f"{number}.png", 64, "stretch") for number in range(5)])
    )
    direct = lite0(images.float())
    for layer in range(2):
        torch.testing.assert_close(torch.cat([batch[layer] for batch in batches]), direct[layer], rtol=1e-4, atol=1e-4)
