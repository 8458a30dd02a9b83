"""The stage check: a wrong params.yaml is refused whole, and a right one is written out for every stage."""

import datetime
import json

import pytest
from PIL import Image
from projects import ROOT
from ruamel.yaml import YAML

from moleflow.config.params import ParamsError
from moleflow.files.paths import Paths
from stages.check import write_check
from stages.map_keys import MapConfig
from stages.params_mistakes import all_mistakes

PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")


def with_changes(**changes):
    return {**PARAMS, **changes}


def test_the_default_is_right():
    assert all_mistakes(PARAMS) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aggregation": "top_m"}, "aggregation: 'top_m' is unknown; choose one of top_k, "),
        ({"orient": "stn"}, "orient: 'stn' is unknown; choose one of none, principal_axis"),
        ({"score": "hybird"}, "score: 'hybird' is unknown; choose one of nll, "),
        (
            {"router": "nearest"},
            "router: 'nearest' is unknown; choose one of neighbors, mahalanobis, euclidean, regional, two_stage, ",
        ),
        ({"baselines": ["knn", "svm"]}, "baselines: 'svm' is unknown; choose one of knn, padim, pca"),
        ({"baselines": ["knn", "knn"]}, "baselines: ['knn', 'knn'] lists a name twice"),
        ({"baselines": "knn"}, "baselines: must be a list, not 'knn'"),
        ({"probe_defects": []}, "probe_defects: must be a list of 1 or more, not []"),
        ({"layers": [1, -1]}, "layers[1]: Input should be greater than or equal to 0, not -1"),
        ({"consistency": [1]}, "consistency[0]: Input should be greater than or equal to 3, not 1"),
        ({"consistency": [3, 3]}, "consistency: must be windows of different sides, not [3, 3]"),
        ({"consistency": [3, 57]}, "consistency: windows of [57] hold the whole grid of 28 patches per side"),
        ({"router": "regional", "router_regions": 29}, "router_regions: 29 is more than the grid's 28 patches"),
        ({"probe_defects": ["dent"]}, "probe_defects: 'dent' is unknown"),
        ({"precision": "fp8"}, "precision: 'fp8' is unknown; choose one of fp32, bf16"),
        ({"score": "dual"}, "score: dual reads what branches: none leaves out; set branches to dual"),
        ({"branches": "two"}, "branches: 'two' is unknown; choose one of none, dual"),
        (
            {"branches": "dual", "position": "none"},
            "branches: with position: none both would be the same; set branches ",
        ),
        ({"orientations": 2}, "orientations: Input should be 1 or 4, not 2"),
        ({"position": "sin"}, "position: 'sin' is unknown"),
        ({"tail_weight": 2.0}, "tail_weight: Input should be less than or equal to 1, not 2.0"),
        ({"lr": float("inf")}, "lr: Input should be a finite number, not inf"),
        ({"tail_wieght": 0.7}, "tail_wieght: no stage reads this key; did you mean tail_weight?"),
        ({"warmup_epochs": 8.0}, "warmup_epochs: 8 must be below epochs: 8"),
        (
            {"margin_weight": 1.0},
            "margin_weight: there are no painted images to keep apart; set painted_images above 0",
        ),
        (
            {"dsm_weight": [0.2, 1.5]},
            "dsm_weight: must be a number from 0 to 1, or two of them, the first and the last",
        ),
        ({"dsm_sigma": [1.0, 0.1]}, "dsm_sigma: must be the smallest noise, then the largest, not [1.0, 0.1]"),
        ({"memory_size": 0}, "score: probe reads what memory_size: 0 leaves out; set memory_size above 0"),
        (
            {"gaussian_rank": 0, "score": "combined_relative"},
            "score: combined_relative reads what gaussian_rank: 0 leaves out; set gaussian_rank above 0",
        ),
        ({"alarm_for": "ever"}, "alarm_for: 'ever' is unknown; choose one of session, shifted"),
        ({"backbone": "resnet51"}, "backbone: timm has no model 'resnet51'"),
        ({"backbone": "resnet18.a1_in1k"}, "backbone_weights: no package carries resnet18.a1_in1k, only "),
        ({"backbone_weights": "/no/file"}, "backbone_weights: '/no/file' is not a file; use 'package', 'hub' or"),
        ({"layers": [1, 9]}, "backbone: tf_efficientnet_lite0.in1k has no feature maps for layers: [1, 9]"),
        ({"device": "abacus"}, "device: 'abacus' is not available"),
        ({"flow_layers": 4}, "flow_layers: 4, but there are only 3 layers; 0 takes all"),
        ({"embed_dim": 150}, "flow_layers: 2 of 1 layers"),
        ({"embed_dim": 500, "flow_layers": 0}, "embed_dim: 500 is more than the 176 channels"),
        ({"context": ["mixer", "blur"]}, "context: 'blur' is unknown; choose one of semantic, mixer, "),
        ({"coupling_context": "near"}, "coupling_context: 'near' is unknown; choose one of scale, both, "),
        ({"expert_weights": "half"}, "expert_weights: 'half' is unknown; choose one of lora, full"),
        ({"context": ["ms_context"], "grid": 4}, "context: a multi-scale context needs more than 4 patches per side; "),
        ({"embed_dim": 90, "flow_layers": 0}, "position: sines and cosines need a multiple of 4 channels"),
        ({"img_size": 99999999999}, "img_size: 99999999999 makes a side of 99999999999, more than 16384; choose a "),
        ({"tiles": 99999999999}, "tiles: 99999999999 makes a side of 22399999999776, more than 16384; choose a "),
        ({"grid": 99999999999}, "grid: 99999999999 makes a side of 99999999999, more than 16384; choose a smaller one"),
        ({"first_task": "t09"}, "classes.elpv_poly.task: 't00' is not listed"),
    ],
    ids=str,
)
def test_a_mistake_is_told_before_anything_is_computed(changes, said):
    found = all_mistakes(with_changes(**changes))
    assert any(each.startswith(said) for each in found), found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"layout": "pcb"}, "classes.bolt.layout: 'pcb' is unknown; choose one of mvtec, btad"),
        ({"alarm_rate": 0.0}, "classes.bolt.alarm_rate: Input should be greater than 0, not 0.0"),
        ({"top_k": 3}, "classes.bolt.top_k: Extra inputs are not permitted"),
        ({"path": None}, "classes.bolt.path: Input should be a valid string"),
    ],
)
def test_a_products_line_is_checked(line, said):
    bolt = {"task": "t00", "layout": "mvtec", "path": "x", **line}
    found = all_mistakes(with_changes(classes={**PARAMS["classes"], "bolt": bolt}))
    assert any(each.startswith(said) for each in found), found


def without(key):
    return {name: value for name, value in PARAMS.items() if name != key}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {**without("neighborhood"), "neighbourhood": 3},
            "neighbourhood: this key is called neighborhood now; rename it",
        ),
        (
            {**without("probe_perturbations"), "probe_nuisances": ["focus"]},
            "probe_nuisances: this key is called probe_perturbations now; rename it",
        ),
        (
            {**without("context"), "spatial_mixer": "mixer"},
            "spatial_mixer: this key is called context now; rename it",
        ),
        (with_changes(alignment="whitening"), "alignment: whitening is called layer_norm now; rename it"),
    ],
    ids=["neighbourhood", "probe_nuisances", "spatial_mixer", "whitening"],
)
def test_what_was_renamed_is_one_mistake_that_names_the_new_word(content, said):
    assert all_mistakes(content) == [said]


@pytest.mark.parametrize("key", sorted(PARAMS))
def test_a_missing_key_is_said_to_be_missing(key):
    assert all_mistakes(without(key)) == [f"{key}: the key is missing"]


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path)


def write(paths, changes):
    YAML().dump(with_changes(**changes), paths.params)
    write_check(paths)
    return written(paths)


def written(paths):
    found = (path for path in paths.check.rglob("*") if path.is_file())
    return {path.relative_to(paths.check).as_posix(): path.read_bytes() for path in found}


def test_all_mistakes_stand_in_one_message_and_nothing_is_lost(paths):
    before = write(paths, {})
    with pytest.raises(ParamsError) as error:
        write(paths, {"aggregation": "top_m", "lr": -1.0, "epochs": "many", "baselines": ["svm"]})
    lines = str(error.value).splitlines()
    assert lines[0] == f"{paths.params} has 4 mistakes:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["epochs", "lr", "aggregation", "baselines"]
    assert written(paths) == before


def changed(before, after):
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_it_writes_what_every_stage_reads(paths):
    before = write(paths, {})
    assert before["ok"] == b"ok\n"
    first, later = (json.loads(before[f"tasks/{task}.json"]) for task in ("t00", "t03"))
    assert (first["products"], later["products"]) == (["elpv_poly"], ["elpv_mono"])
    assert "couplings" in first.keys() - later.keys()
    assert "calibration" in later.keys() - first.keys()
    assert first["lr"] == later["lr"] == PARAMS["lr"]
    assert json.loads(before["order.json"])["tasks"] == ["t00", "t01", "t02", "t03", "t04"]
    score = json.loads(paths.product_params("brick", "score").read_text())
    assert score["alarm_rate"] == 0.05
    scoring = {"alarm_rate", "alarm_for", "score", "image_level", "aggregation", "top_k", "top_percent", "percentile"}
    assert set(score) == scoring | {"consistency", "eval_size", "map_sigma", "region"}
    assert write(paths, {}) == before


def test_a_region_of_interest_changes_one_products_score_alone_and_must_belong_to_a_product(paths):
    before = write(paths, {})
    region = paths.regions.of("brick")
    region.parent.mkdir(parents=True)
    (region.parent / ".gitkeep").touch()
    Image.new("L", (4, 4), 255).save(region)
    assert changed(before, write(paths, {})) == {"products/brick/score.json"}
    with pytest.raises(ParamsError, match=r"orient: principal_axis turns images, but .*brick\.png .*set orient: none"):
        write(paths, {"orient": "principal_axis"})
    Image.new("L", (4, 4), 0).save(region)
    with pytest.raises(ParamsError, match=r"brick\.png marks nothing"):
        write(paths, {})
    region.write_text("no image")
    with pytest.raises(ParamsError, match=r"brick\.png"):
        write(paths, {})
    region.rename(paths.regions.of("brack"))
    with pytest.raises(ParamsError, match=r"brack\.png is the region of no product"):
        write(paths, {})


def test_a_folder_is_no_region_of_interest(paths):
    folder = paths.regions.of("brick")
    folder.mkdir(parents=True)
    Image.new("L", (4, 4), 255).save(folder / "0.png")
    with pytest.raises(ParamsError, match=r"brick\.png is a folder; put the mask itself in its place, a file"):
        write(paths, {})


@pytest.mark.parametrize("classes", [5, True, 1.5, datetime.date(2026, 1, 1), "bolt", ["bolt"], None])
def test_classes_that_are_no_table_are_one_sentence(paths, classes):
    (paths.feedback / "bolt").mkdir(parents=True)
    with pytest.raises(ParamsError, match=r"classes: Input should be a valid dictionary"):
        write(paths, {"classes": classes})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("given", [4, [2, 4]])
def test_smoothings_in_whole_pixels_are_read_and_passed_on_without_a_warning(given):
    assert MapConfig(eval_size=224, map_sigma=given).model_dump()["map_sigma"] == given


def test_a_changed_key_changes_what_reads_it_alone(paths):
    before = write(paths, {})
    every = PARAMS["classes"]
    of_score = {f"products/{name}/score.json" for name in every}
    for changes in ({"top_k": 5}, {"score": "memory"}, {"consistency": [3, 5]}, {"map_sigma": [2.0, 4]}):
        assert changed(before, write(paths, changes)) == of_score
    assert changed(before, write(paths, {"img_size": 256})) == {
        f"products/{name}/{stage}.json" for name in every for stage in ("extract", "probe")
    }
    tasks = {f"tasks/{task}.json" for task in ("t00", "t01", "t02", "t03", "t04")}
    assert changed(before, write(paths, {"epochs": 9})) == tasks
    assert changed(before, write(paths, {"couplings": 9})) == {"tasks/t00.json"}
    assert changed(before, write(paths, {"calibration_folds": 9})) == tasks - {"tasks/t00.json"}
    assert changed(before, write(paths, {"router": "oracle", "reject_rate": 0.5})) == set()
    on_devices = ("extract", "probe", "prototype", "statistics")
    by_product = {f"products/{name}/{stage}.json" for name in every for stage in on_devices}
    assert changed(before, write(paths, {"device": "cpu"})) == tasks | by_product


def test_a_products_own_value_changes_its_own_stages_alone(paths):
    before = write(paths, {})
    classes = {**PARAMS["classes"], "brick": {**PARAMS["classes"]["brick"], "alarm_rate": 0.01}}
    after = write(paths, {"classes": classes})
    assert changed(before, after) == {"products/brick/score.json"}
    assert json.loads(after["products/brick/score.json"])["alarm_rate"] == 0.01
    kept = write(paths, {"classes": classes, "alarm_rate": 0.2})
    assert kept["products/brick/score.json"] == after["products/brick/score.json"]


def test_a_product_that_leaves_changes_its_task_and_the_order(paths):
    before = write(paths, {})
    classes = {name: line for name, line in PARAMS["classes"].items() if name != "brick"}
    after = write(
        paths,
        {"classes": {**classes, "grass": {**classes["grass"], "task": "t01"}}, "later_tasks": ["t01", "t03", "t04"]},
    )
    gone = {path for path in before if path.startswith("products/brick/")}
    assert changed(before, after) == gone | {"tasks/t01.json", "tasks/t02.json", "order.json"}
