"""Law 4: dvc.yaml says exactly what the stages read and import; modules keep to their place."""

import ast
from pathlib import Path

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from moleflow.costs import PER_PRODUCT
from stages.check import NAMES, keys_read
from stages.check import STAGES as CHECKED
from stages.view import ViewConfig

ROOT = Path(__file__).parents[1]
PIPELINE = YAML(typ="safe").load(ROOT / "dvc.yaml")
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
STAGES = {name: entry.get("do", entry) for name, entry in PIPELINE["stages"].items()}
SOURCES = sorted(path.relative_to(ROOT) for folder in ("moleflow", "stages") for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of everything a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def closure(path: Path) -> set[Path]:
    """The file and all files of ours that it imports, directly or not."""
    seen, waiting = set(), {path}
    while waiting:
        seen |= (current := {waiting.pop()})
        own = {Path(*name.split(".")).with_suffix(".py") for each in current for name in imported(each)}
        waiting |= (own & set(SOURCES)) - seen
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_params_listed_are_the_params_read(stage):
    listed = STAGES[stage].get("params", [])
    common = stage in CHECKED and stage not in PER_PRODUCT
    assert set(listed) == (keys_read(stage) if common else set())
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("stage", STAGES)
def test_code_listed_is_the_code_imported(stage):
    if stage == "check":  # it asks every stage what it reads, and every family what it has
        assert {"params.yaml", "moleflow", "stages"} == set(STAGES[stage]["deps"])
        return
    folders = {path for path in map(Path, STAGES[stage]["deps"]) if path.parts[0] == "moleflow" and not path.suffix}
    listed = {Path(dep) for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    listed |= {path for path in SOURCES if path.parent in folders and path.stem != "__init__"}
    assert listed == closure(Path("stages") / f"{stage}.py")


def test_every_key_has_a_reader():
    text = (ROOT / "dvc.yaml").read_text()
    read = set().union(*map(keys_read, CHECKED)) | {key for key in PARAMS if f"${{{key}}}" in text}
    assert set(PARAMS) == read


def test_check_knows_every_stage_and_every_name():
    assert set(CHECKED) == set(STAGES) - {"check", "demo"}
    text = {key for key, value in PARAMS.items() if isinstance(value, str | list) and value != PARAMS["layers"]}
    assert text - set(NAMES) == {"first_task", "later_tasks", "backbone", "backbone_weights", "device"}


@pytest.mark.parametrize("stage", PER_PRODUCT)
def test_a_stage_of_one_product_depends_on_what_params_come_to_for_it(stage):
    assert f"data/check/products/${{key}}/{stage}.json" in STAGES[stage]["deps"]


def test_packages_hold_no_code_that_no_stage_would_list():
    for path in SOURCES:
        if path.name == "__init__.py":
            assert all(isinstance(node, ast.Expr) for node in ast.parse((ROOT / path).read_text()).body), path


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        ("timm", {"backbone.py"}),
        ("zarr", {"store.py"}),
        ("h5py", {"scores_file.py"}),
        ("ruamel", {"params.py", "params_writer.py"}),
        ("filelock", {"costs.py"}),
        ("dvc", {"experiments.py", "plan.py"}),
    ],
)
def test_a_package_behind_a_seam_is_imported_there_alone(package, homes):
    users = {path.name for path in SOURCES if any(name.split(".")[0] == package for name in imported(path))}
    assert users == homes


def test_leaves_do_not_import_what_is_built_on_them():
    order = [{"artifacts", "choices", "paths", "metrics", "calibration", "losses", "defects", "baselines"}]
    order += [{"order"}, {"params", "tidying", "costs"}]
    order += [{"store", "patches", "backbones", "router", "continual"}, {"features"}]
    order += [
        {"flow", "prototypes", "openset"},
        {"training", "scoring", "experts"},
        {"scorer", "tasks"},
        {"evaluation", "expert_statistics"},
        {"probing", "plot_data"},
    ]
    order += [{"records"}, {"report_cases"}, {"report"}, {"cli"}]
    level = {name: number for number, names in enumerate(order) for name in names}
    for path in SOURCES:
        own = level.get(path.with_suffix("").parts[1]) if path.parts[0] == "moleflow" else None
        if own is not None:
            used = {name.split(".")[1] for name in imported(path) if name.startswith("moleflow.")}
            assert max((level.get(name, 0) for name in used), default=0) <= own, path


@pytest.mark.parametrize("stage", ["baseline", "score", "route", "evaluate", "report"])
def test_a_change_of_the_flow_runs_no_baseline_score_or_metric_anew_by_its_code(stage):
    assert not [
        path for path in closure(Path("stages") / f"{stage}.py") if "flow" in path.parts or path.stem == "training"
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_stage_before_statistics_depends_on_no_test_image(stage):
    """Law 6: prototype sees the normal groups alone; base and train see prototypes, not stores."""
    features = [dep for dep in STAGES[stage]["deps"] if "data/features" in dep]
    normal = [f"data/features/${{key}}.zarr/{group}" for group in ("train", "rotated", "calibration")]
    after = {"statistics": ["data/features/${key}.zarr"]}
    after |= {each: ["data/features"] for each in ("route", "misrouted", "baseline")}
    assert features == {"prototype": normal, **after}.get(stage, [])


@pytest.mark.parametrize("layers", [[], [3, 2], [2, 2]])
def test_layers_increase(layers):
    """timm gives maps in the network's order; another order would label them wrongly."""
    view = {key: PARAMS[key] for key in ViewConfig.model_fields}
    assert ViewConfig(**view).layers == PARAMS["layers"]
    with pytest.raises(ValidationError, match="layers"):
        ViewConfig(**{**view, "layers": layers})
