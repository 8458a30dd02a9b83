"""Published protocols: what they write, that comments stay, and what is refused."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from projects import ROOT, Clone, git
from ruamel.yaml import YAML

from moleflow.cli.main import main
from moleflow.config.products import load_products
from moleflow.datasets.layouts import LAYOUTS
from moleflow.files.params_file import write_params, write_products
from moleflow.protocols.scenarios import DATASETS, ScenarioError, scenario

PUBLISHED = [(dataset, name) for dataset, data in DATASETS.items() for name in data.scenarios]
SIZES = {"mvtec": 15, "visa": 12, "mpdd": 6, "demo": 5, "dev": 10, "large": 4}


def tasks(products):
    """Products of each task, in order."""
    grouped = {}
    for name, line in products.items():
        grouped.setdefault(line.task, []).append(name)
    return list(grouped.values())


@pytest.mark.parametrize(("dataset", "name"), PUBLISHED)
def test_published_scenarios_hold_every_product_once(dataset, name):
    products = scenario(dataset, name, root="/data", order=None)
    assert len(products) == SIZES[dataset]
    first = int(name.split("-")[0])
    assert len(tasks(products)[0]) == first
    assert {line.layout for line in products.values()} <= set(LAYOUTS)
    if dataset not in {"dev", "large"}:
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
        (("visa", "13-1", "/d", None), "13-1 does not add up to the 12 products of visa"),
        (("mvtec", "3-3", None, None), "say where with --root"),
        (("visa", "1-1", "/d", "texture_first"), "visa has no order 'texture_first'; choose one of alphabetical"),
    ],
)
def test_impossible_scenarios_are_refused(arguments, said):
    dataset, name, root, order = arguments
    with pytest.raises(ScenarioError, match=said):
        scenario(dataset, name, root=root, order=order)


def test_some_products_alone_in_their_own_order():
    assert list(scenario("mvtec", "1-1", root="/d", order=None, products="grid,bottle")) == ["grid", "bottle"]
    pilot = scenario("mvtec", "3-1", root="/d", order=None, products="pilot4")
    assert tasks(pilot) == [["leather", "grid", "transistor"], ["screw"]]
    for dataset, chosen, said in (("mvtec", "grid,grid", "'grid'"), ("visa", "pilot3", "'pilot3'")):
        with pytest.raises(ScenarioError, match=f"{said} is no product of {dataset}, or named twice"):
            scenario(dataset, "1-1", root="/d", order=None, products=chosen)
    with pytest.raises(ScenarioError, match="14-1 does not add up to the 4 products of --products; 1-1 always does"):
        scenario("mvtec", "14-1", root="/d", order=None, products="pilot4")
    with pytest.raises(ScenarioError, match="leave --order out"):
        scenario("mvtec", "1-1", root="/d", order="diary", products="pilot3")


def test_the_data_sets_are_listed(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["moleflow", "scenario"])
    main()
    said = capsys.readouterr().out
    assert all(f"| {name} " in said for name in DATASETS)
    assert "pilot4" in said


def test_the_defaults_are_the_demo_one_by_one(params):
    """Writing what is there already changes no byte: comments, order and spelling stay."""
    before = params.read_bytes()
    write_products(scenario("demo", "1-1", root=None, order=None), params)
    assert params.read_bytes() == before


def test_what_a_product_sets_for_itself_stays_with_it_and_a_calibration_goes(params):
    lines = YAML(typ="safe").load(params)
    lines["classes"]["brick"]["alarm_rate"] = 0.1
    write_params({"classes": lines["classes"], "recalibrations": {"brick": "a", "grass": "b"}}, params)
    assert write_products(scenario("demo", "1-1", root=None, order=None, products="brick,gravel"), params) == ["grass"]
    assert load_products(params).classes["brick"].alarm_rate == 0.1
    assert load_products(params).recalibrations == {"brick": "a"}


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


def test_the_dev_set_holds_the_demo_and_what_is_below_a_root(tmp_path, monkeypatch, capsys):
    """Without the images it runs with what there is, and says what is missing."""
    whole = scenario("dev", "1-1", root="/d", order=None)
    assert whole["bottle"].path == "/d/mvtec_bottle_320"
    assert whole["narrow"].path == "data/raw/demo/narrow"
    assert list(scenario("dev", "1-1", root=None, order=None)) == DEMO
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    (tmp_path / "images/mvtec_screw_320").mkdir(parents=True)
    monkeypatch.setattr("moleflow.cli.scenario.planned", lambda paths: nullcontext())
    monkeypatch.setattr("sys.argv", ["moleflow", "scenario", "dev", "1-1", "--root", "images"])
    main()
    assert list(load_products(tmp_path / "params.yaml").classes) == [*DEMO, "screw"]
    assert "left out, since their folders do not exist: bottle, hazelnut, deeppcb" in capsys.readouterr().err
    before = Path("params.yaml").read_bytes()
    monkeypatch.setattr("sys.argv", ["moleflow", "scenario", "dev", "1-1", "--products", "bottle,hazelnut"])
    with pytest.raises(
        SystemExit, match=r"no product remains; left out, .* do not exist: bottle, hazelnut; --root holds"
    ):
        main()
    assert Path("params.yaml").read_bytes() == before


DEMO = ["elpv_poly", "brick", "grass", "elpv_mono", "gravel", "narrow"]


@pytest.mark.dvc
def test_the_command_says_what_is_written_and_what_will_run(tmp_path):
    clone = Clone.of_working_tree(tmp_path)
    done = clone.command("moleflow", "scenario", "mvtec", "3-3", "--root", "/no/such/place")
    assert "t04  transistor, wood, zipper" in done.stdout
    assert "/no/such/place/bottle does not exist" in done.stderr
    assert "  train      t01, t02, t03, t04\n" in done.stdout
    assert git(tmp_path, "diff", "--name-only").split() == ["params.yaml"]
    wrong = clone.command("moleflow", "scenario", "mvtec", "4-3", "--root", "/no/such/place", check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: 4-3 does not add up")
