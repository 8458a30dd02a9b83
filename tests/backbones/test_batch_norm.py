"""Folding batch normalization away changes no map, and stays away from what it would change."""

import pytest
import torch
from samples import CPU
from torch import nn
from torch.nn import functional as F

from moleflow.backbones.backbone import Backbone, timm
from moleflow.backbones.batch_norm import folded
from moleflow.backbones.packaged_weights import packaged_weights

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def used(norm):
    """A normalization whose statistics and scales are not those of a new one."""
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


class Unusual(nn.Module):
    """An unusual use of convolutions and norms, and a usual pair behind it."""

    def __init__(self, use):
        super().__init__()
        self.first, self.second = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.norm, self.other_norm = (used(nn.BatchNorm2d(3)) for _ in range(2))
        self.alias = self.norm
        self.without_statistics = nn.BatchNorm2d(3, track_running_stats=False)
        self.last, self.last_norm = nn.Conv2d(3, 4, 3), used(nn.BatchNorm2d(4))
        self.use = use

    def forward(self, images):
        fine = self.use(self, images)
        return [fine, self.last_norm(self.last(fine))]


UNUSUAL = {
    "norm that runs twice": lambda own, x: own.norm(own.second(own.norm(own.first(x)))),
    "norm of two names": lambda own, x: own.alias(own.second(own.norm(own.first(x)))),
    "convolution of two norms": lambda own, x: own.other_norm(own.first(own.norm(own.first(x)))),
    "convolution that runs again": lambda own, x: own.first(own.norm(own.first(x))),
    "two norms of one output": lambda own, x: own.norm(raw := own.first(x)) + own.other_norm(raw),
    "norm without statistics": lambda own, x: own.without_statistics(own.first(x)),
}


class HugeChannel(nn.Module):
    """One channel is 1e5 times larger than the others, of which one shows a little of its convolution's own output."""

    def __init__(self, last):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3, bias=False), used(nn.BatchNorm2d(4))
        self.norm.weight.data[0] *= 1e5
        self.register_buffer("shown", torch.tensor([0, 0.01, 0, 0]).view(1, 4, 1, 1))
        self.last = last

    def forward(self, images):
        raw = self.convolution(images)
        fine = self.norm(raw) + self.shown * raw
        return [fine.permute(0, 2, 3, 1) if self.last else fine]


class Single(Maps):
    """Computes in single precision whatever it is given."""

    def forward(self, images):
        return super().forward(images.float())


class Inquisitive(Maps):
    """Reads more of a norm than its output."""

    def forward(self, images):
        return [self.first_norm.weight.view(1, 4, 1, 1) * each for each in super().forward(images)[:1]]


KINDS = {  # as forward normalizes them: black is -2.1 to -1.8, white 2.2 to 2.6
    "noise": lambda images: images.diff().std() > 1 and images.abs().amax() < 3,
    "black": lambda images: images.amin() > -3 and images.amax() < -1.5,
    "white": lambda images: images.amin() > 2 and images.amax() < 3,
    "slope": lambda images: (images.diff() > 0).all() and images.amin() < -1.5 and 2 < images.amax() < 3,
}
default_cfgs = timm.models.generate_default_cfgs({f"reads_raw_{kind}.none": {} for kind in KINDS})  # timm's name for it


class ReadsRaw(Maps):
    """Shows the first convolution's own output to someone else only where a quarter of an image is of one kind."""

    feature_info = timm.models.FeatureInfo([{"num_chs": 4, "reduction": 1, "module": "first"}], out_indices=(0,))

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, images):
        quarters = [quarter for half in images.chunk(2, dim=2) for quarter in half.chunk(2, dim=3)]
        self.also_raw = any(bool(KINDS[self.kind](quarter)) for quarter in quarters)
        return super().forward(images)


for kind in KINDS:

    def entry(kind=kind, **_):
        return ReadsRaw(kind)

    entry.__name__ = f"reads_raw_{kind}"
    timm.models.register_model(entry)


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


@pytest.mark.parametrize("use", UNUSUAL)
def test_only_a_convolution_and_a_norm_that_run_once_and_together_are_folded(use):
    model = Unusual(UNUSUAL[use]).eval()
    result = folded(model, IMAGES)
    assert len(norms(result)) == len(norms(model)) - 1
    assert isinstance(result.last_norm, nn.Identity)
    for expected, found in zip(model(2 * IMAGES), result(2 * IMAGES), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("last", [False, True])
def test_a_huge_channel_hides_no_other(last):
    model = HugeChannel(last).eval()
    assert folded(model, IMAGES) is model


@pytest.mark.parametrize("kind", KINDS)
def test_the_backbone_is_tried_on_every_kind_of_picture_as_it_gets_them(kind):
    backbone = Backbone(f"reads_raw_{kind}.none", [0], "hub", img_size=32, device=CPU)
    assert len(norms(backbone)) == 2


@pytest.mark.parametrize("kind", [Single, Inquisitive])
def test_a_model_that_cannot_be_tried_stays(kind):
    model = kind().eval()
    assert folded(model, IMAGES) is model


def test_folding_leaves_the_number_of_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        folded(Maps().eval(), IMAGES)
        assert torch.get_num_threads() == 3
        with pytest.raises(RuntimeError):
            folded(Maps().eval(), IMAGES[..., :1])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


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
    backbone = Backbone("tf_efficientnet_lite0.in1k", [1, 2, 3], "package", img_size=64, device=CPU)
    own = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=[1, 2, 3]).eval()
    whole = timm.create_model("tf_efficientnet_lite0").state_dict()
    own.load_state_dict(packaged_weights("tf_efficientnet_lite0.in1k", whole), strict=False)
    images = 255 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert not norms(backbone)
    with torch.no_grad():
        expected = own((images - backbone.mean) / backbone.std)
    for theirs, ours in zip(expected, backbone(images), strict=True):
        assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
