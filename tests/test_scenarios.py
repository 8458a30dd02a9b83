"""Protocols and presets: what they write, that comments stay, and what is refused."""

import pytest
import torch
from clones import ROOT, Clone, git
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from moleflow import presets
from moleflow.backbones.backbone import timm
from moleflow.datasets.index import LAYOUTS
from moleflow.params import load_products
from moleflow.params_writer import write_params, write_products
from moleflow.patches import patch_features
from moleflow.scenarios import DATASETS, ScenarioError, scenario

PUBLISHED = [(dataset, name) for dataset, data in DATASETS.items() for name in data.scenarios]
SIZES = {"mvtec": 15, "visa": 12, "mpdd": 6, "demo": 5}


def tasks(products):
    """Products of each task, in order."""
    grouped = {}
    for name, line in products.items():
        grouped.setdefault(line.task, []).append(name)
    return list(grouped.values())


@pytest.fixture
def params(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    return path


@pytest.mark.parametrize(("dataset", "name"), PUBLISHED)
def test_published_scenarios_hold_every_product_once(dataset, name):
    products = scenario(dataset, name, root="/data", order=None)
    assert len(products) == SIZES[dataset]
    first = int(name.split("-")[0])
    assert len(tasks(products)[0]) == first
    assert {line.layout for line in products.values()} <= set(LAYOUTS)
    assert all(line.path == f"/data/{product}" for product, line in products.items())


@pytest.mark.parametrize(
    ("dataset", "order"), [(name, order) for name, data in DATASETS.items() for order in data.orders]
)
def test_orders_are_permutations(dataset, order):
    default = scenario(dataset, "1-1", root="/d", order=None)
    products = scenario(dataset, "1-1", root="/d", order=order)
    assert sorted(products) == sorted(default)
    if order == "alphabetical":
        assert list(products) == sorted(products)


def test_scenarios_of_the_field():
    three = tasks(scenario("mvtec", "3-3", root="/d", order=None))
    assert [len(each) for each in three] == [3] * 5
    assert three[0] == ["bottle", "cable", "capsule"]
    assert [len(each) for each in tasks(scenario("mvtec", "10-1x5", root="/d", order=None))] == [10, 1, 1, 1, 1, 1]
    assert [len(each) for each in tasks(scenario("mvtec", "10-5", root="/d", order=None))] == [10, 5]
    assert [len(each) for each in tasks(scenario("visa", "8-1x4", root="/d", order=None))] == [8, 1, 1, 1, 1]
    hard = scenario("mvtec", "14-1", root="/d", order="hard_first")
    assert next(iter(hard)) == "screw"
    assert tasks(hard)[1] == ["bottle"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mvtec", "4-3", "/d", None), r"4-3 does not add up to the 15 products of mvtec; known are 1-1, 3-3"),
        (("mvtec", "10-1x4", "/d", None), "10-1x4 does not add up"),
        (("mvtec", "three", "/d", None), "three does not add up"),
        (("mvtec", "3-3", None, None), "say where with --root"),
        (("visa", "1-1", "/d", "texture_first"), "visa has no order 'texture_first'; choose one of alphabetical"),
    ],
)
def test_impossible_scenarios_are_refused(arguments, said):
    dataset, name, root, order = arguments
    with pytest.raises(ScenarioError, match=said):
        scenario(dataset, name, root=root, order=order)


def test_the_defaults_are_the_demo_one_by_one(params):
    """Writing what is there already changes no byte: comments, order and spelling stay."""
    before = params.read_bytes()
    write_products(scenario("demo", "1-1", root=None, order=None), params)
    assert params.read_bytes() == before


def test_a_scenario_changes_the_products_alone(params):
    before = params.read_text().splitlines()
    write_products(scenario("mvtec", "5-5", root="/data/mvtec/", order="texture_first"), params)
    products = load_products(params)
    assert products.tasks == ["t00", "t01", "t02"]
    first = [name for name, line in products.classes.items() if line.task == "t00"]
    assert first == ["carpet", "grid", "leather", "tile", "wood"]
    assert products.classes["wood"].path == "/data/mvtec/wood"
    after = params.read_text().splitlines()
    assert "  carpet: {task: t00, layout: mvtec, path: /data/mvtec/carpet}" in after
    lost = [line for line in before if line not in after]
    assert all("path: data/raw/demo" in line or line.startswith("- t0") for line in lost)
    assert "later_tasks:\n- t01\n- t02\n" in params.read_text()


def test_the_command_says_what_is_written_and_what_will_run(tmp_path):
    clone = Clone.of_working_tree(tmp_path)
    done = clone.run("moleflow", "scenario", "mvtec", "3-3", "--root", "/no/such/place")
    assert "t04  transistor, wood, zipper" in done.stdout
    assert "/no/such/place/bottle does not exist" in done.stderr
    assert "  train      t01, t02, t03, t04\n" in done.stdout
    assert git(tmp_path, "diff", "--name-only").split() == ["params.yaml"]
    wrong = clone.run("moleflow", "scenario", "mvtec", "4-3", "--root", "/no/such/place", check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: 4-3 does not add up")


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_name_keys_that_exist_and_maps_that_timm_has(params, name):
    preset = presets.PRESETS[name]
    write_params(preset, params)
    written = YAML(typ="safe").load(params)
    assert {key: written[key] for key in preset} == preset
    size = {"img_size": 224} if preset["backbone"].startswith("vit") else {}
    model = timm.create_model(preset["backbone"], features_only=True, out_indices=preset["layers"], **size).eval()
    with torch.inference_mode():
        maps = model(torch.rand(1, 3, 224, 224))
    patching = {key: preset[key] for key in ("neighbourhood", "embed_dim", "grid", "layer_merge")}
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


def test_unknown_keys_are_refused(params):
    with pytest.raises(KeyError, match="no_such_key"):
        write_params({"no_such_key": 1}, params)
