"""Presets: keys that exist, maps that timm has, and a way back to the defaults."""

import pytest
import torch
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from moleflow.backbones.backbone import timm
from moleflow.features.patches import patch_features
from moleflow.files.params_file import write_params
from moleflow.protocols import presets


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_name_keys_that_exist_and_maps_that_timm_has(params, name):
    preset = presets.PRESETS[name]
    write_params(preset, params)
    written = YAML(typ="safe").load(params)
    assert {key: written[key] for key in preset} == preset
    view = preset["img_size"]
    size = {"img_size": view} if preset["backbone"].startswith("vit") else {}
    model = timm.create_model(preset["backbone"], features_only=True, out_indices=preset["layers"], **size).eval()
    with torch.inference_mode():
        maps = model(torch.rand(1, 3, view, view))
    patching = {key: preset[key] for key in ("neighborhood", "embed_dim", "grid", "layer_merge")}
    side = preset["grid"] or max(layer.shape[-1] for layer in maps)
    assert patch_features(maps, **patching).shape == (1, side, side, preset["embed_dim"])
    if preset["layer_merge"] == "concat":
        assert sum(layer.shape[1] for layer in maps) == preset["embed_dim"]


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
