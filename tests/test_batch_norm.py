"""Folding batch normalisation away changes no map, and stays away from what it would change."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from moleflow.backbones import Backbone, timm
from moleflow.batch_norm import folded
from moleflow.packaged_weights import packaged_weights

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def used(norm):
    """A normalisation whose statistics and scales are not those of a new one."""
    torch.manual_seed(1)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    return norm


class Maps(nn.Module):
    """Two convolutions with their norms; `also_raw` shows the first convolution's own output to someone else."""

    def __init__(self, also_raw=False):
        super().__init__()
        self.first, self.first_norm = nn.Conv2d(3, 4, 3, bias=False), used(nn.BatchNorm2d(4))
        self.second, self.second_norm = nn.Conv2d(4, 5, 3), used(nn.BatchNorm2d(5))
        self.also_raw = also_raw

    def forward(self, images):
        raw = self.first(images)
        fine = F.relu(self.first_norm(raw)) + (raw if self.also_raw else 0)
        return [fine, self.second_norm(self.second(fine))]


def norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def test_folded_model_gives_the_same_maps_without_a_norm():
    model = Maps().eval()
    result = folded(model, IMAGES)
    assert not norms(result)
    assert len(norms(model)) == 2
    for expected, found in zip(model(2 * IMAGES), result(2 * IMAGES), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_norm_before_its_convolution_stays():
    model = nn.Sequential(used(nn.BatchNorm2d(3)), nn.Conv2d(3, 4, 3)).eval()
    assert folded(model, IMAGES) is model


def test_a_convolution_that_something_else_reads_too_keeps_its_norm():
    model = Maps(also_raw=True).eval()
    assert folded(model, IMAGES) is model


@pytest.mark.parametrize("name", ["first", "first_norm"])
def test_an_output_that_a_hook_takes_as_a_feature_stays(name):
    model = Maps().eval()
    seen = []
    model.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(output))
    result = folded(model, IMAGES)
    assert len(norms(result)) == 1
    seen.clear()
    model(IMAGES), result(IMAGES)
    torch.testing.assert_close(*seen, rtol=1e-4, atol=1e-5)


def test_the_backbone_gives_timms_own_maps_and_has_no_norm_left():
    backbone = Backbone("tf_efficientnet_lite0.in1k", [1, 2, 3], "package", img_size=64, device="cpu")
    own = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=[1, 2, 3]).eval()
    whole = timm.create_model("tf_efficientnet_lite0").state_dict()
    own.load_state_dict(packaged_weights("tf_efficientnet_lite0.in1k", whole), strict=False)
    images = 255 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert not norms(backbone)
    with torch.no_grad():
        expected = own((images - backbone.mean) / backbone.std)
    for theirs, ours in zip(expected, backbone(images), strict=True):
        assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
