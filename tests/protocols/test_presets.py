"""Presets: keys that exist, maps that timm has, and a way back to the defaults."""

import pytest
import torch
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from moleflow.backbones.backbone import check_backbone, timm
from moleflow.cli.main import main
from moleflow.config.params import read_params
from moleflow.features.patches import layer_channels, modeled_channels, patch_features
from moleflow.files.params_file import write_params
from moleflow.flow.density import Density, expert_state
from moleflow.learning.losses import Seen, objective
from moleflow.protocols import presets


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_name_keys_that_exist_and_maps_that_timm_has(params, name):
    preset = presets.PRESETS[name]
    write_params(preset, params)
    written = YAML(typ="safe").load(params)
    assert {key: written[key] for key in preset} == preset
    maps = check_backbone(preset["backbone"], preset["layers"], preset["backbone_weights"], preset["img_size"])
    patching = {key: preset[key] for key in ("neighborhood", "embed_dim", "grid", "layer_merge")}
    side = preset["grid"] or max(layer.shape[-1] for layer in maps)
    made = patch_features([torch.rand(layer.shape) for layer in maps], **patching)
    assert made.shape == (1, side, side, preset["embed_dim"])
    if preset["layer_merge"] == "concat":
        assert sum(layer.shape[1] for layer in maps) == preset["embed_dim"]


def test_presets_of_the_diary_leave_nothing_of_the_preset_before():
    """A recipe is the same whatever was set before it."""
    assert {frozenset(preset) for preset in presets.PRESETS.values()} == {frozenset(presets.LITE0)}


def test_outside_a_repository_it_says_that_nothing_can_run(params, monkeypatch):
    monkeypatch.chdir(params.parent)
    monkeypatch.setattr("sys.argv", ["moleflow", "preset", "fast"])
    with pytest.raises(SystemExit, match="this folder lies in no DVC repository"):
        main()


RECORDED = ("mole6_dia2", "max_image_auroc", "visa_image", "visa_pixel", "vit_384", "v8")


@pytest.mark.parametrize("name", RECORDED)
def test_a_preset_takes_a_training_step_on_features_of_its_shape(params, name):
    preset = presets.PRESETS[name]
    settings = read_params(params) | preset
    maps = check_backbone(preset["backbone"], preset["layers"], preset["backbone_weights"], preset["img_size"])
    layers = layer_channels(maps, embed_dim=preset["embed_dim"], layer_merge=preset["layer_merge"])
    channels = modeled_channels(layers, preset["flow_layers"])
    side = preset["grid"] or max(layer.shape[-1] for layer in maps)
    density = Density(channels, settings, first=True, seed=0)
    generator = torch.Generator().manual_seed(0)
    aligned, log_det = density.align(torch.randn(1, side, side, channels, generator=generator))
    found = density.judge(aligned, log_det)
    loss, _ = objective(Seen(density, aligned, found, found.nll / channels, None, generator), settings, 0.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert any(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in expert_state(density).values())


def test_every_preset_is_told_about(capsys, monkeypatch):
    assert presets.ABOUT.keys() == presets.PRESETS.keys()
    monkeypatch.setattr("sys.argv", ["moleflow", "preset"])
    main()
    said = capsys.readouterr().out
    assert all(f"| {name} " in said for name in presets.PRESETS)
    assert "never run" in said


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_after_an_experiment_and_back_leaves_the_defaults(params, name):
    """`dvc exp run -S` writes lists as blocks; lite0 holds every key that a preset changes."""
    default = YAML(typ="safe").load(params)
    apply_overrides(str(params), ["seed=0"])
    write_params(presets.PRESETS[name], params)
    write_params(presets.PRESETS["lite0"], params)
    assert YAML(typ="safe").load(params) == default
    assert "# bound of a channel's log-scale" in params.read_text()


def test_records_of_the_diary_have_their_grids():
    assert presets.WRN50_28["backbone"] == presets.WRN50_56["backbone"] == "wide_resnet50_2.racm_in1k"
    strides = {"wrn50_28": 28, "wrn50_56": 56, "vit_b": 14}
    for name, side in strides.items():
        preset = presets.PRESETS[name]
        model = timm.create_model(preset["backbone"], features_only=True, out_indices=preset["layers"])
        assert 224 // min(model.feature_info.reduction()) == side


def test_the_default_is_a_preset(params):
    written = YAML(typ="safe").load(params)
    assert any(all(written[key] == value for key, value in preset.items()) for preset in presets.PRESETS.values())
