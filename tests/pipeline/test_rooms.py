"""Law 4: dvc.yaml says exactly what the stages read and import; rooms import only rooms above them."""

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from projects import ROOT
from ruamel.yaml import YAML

import moleflow
from moleflow.config.errors import MoleflowError
from moleflow.files.order import PER_PRODUCT
from stages.params_mistakes import NAMES, keys_read
from stages.params_mistakes import STAGES as CHECKED

PIPELINE = YAML(typ="safe").load(ROOT / "dvc.yaml")
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
COMMON = set(CHECKED) - {"base", "train", "recalibrate", *PER_PRODUCT}  # of no product or task alone
STAGES = {name: entry.get("do", entry) for name, entry in PIPELINE["stages"].items()}
SOURCES = sorted(path.relative_to(ROOT) for folder in ("moleflow", "stages") for path in (ROOT / folder).rglob("*.py"))
TREES = {path: ast.parse((ROOT / path).read_text()) for path in SOURCES}

# A room imports rooms that stand before it here, and itself.
ROOMS = (
    "config", "protocols", "compute", "files", "images", "datasets", "backbones", "features", "calibration", "flow",
    "learning", "routing", "statistics", "scoring", "baselines", "probe", "evaluation", "report", "revisions",
    "inspector", "inspections", "cli",
)  # fmt: skip


def imported(path: Path) -> set[str]:
    """Dotted names of everything a file imports, also inside functions; of `from a import b` both a and a.b."""
    names = set()
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def files_of(name: str) -> set[Path]:
    """The files of ours that Python runs for a dotted name: the module, and the package of each of its parts."""
    parts = name.split(".")
    packages = {Path(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)}
    return (packages | {Path(*parts).with_suffix(".py")}) & set(SOURCES)


def closure(path: Path) -> set[Path]:
    """The file and all files of ours that it imports, directly or not."""
    seen, waiting = set(), {path}
    while waiting:
        seen |= (current := {waiting.pop()})
        waiting |= {file for each in current for name in imported(each) for file in files_of(name)} - seen
    return seen


def room_of(path: Path) -> str | None:
    """The room that a file lies in; None for scripts of stages, and what lies beside the rooms."""
    if path in (Path("moleflow/revisions.py"), Path("moleflow/inspector.py")):
        return path.stem
    return path.parts[1] if path.parts[0] == "moleflow" and len(path.parts) > 2 else None


def rooms_listed(stage: str) -> set[str]:
    """The rooms among a stage's dependencies."""
    return {dep.removeprefix("moleflow/") for dep in STAGES[stage]["deps"] if dep.startswith("moleflow/")}


def code(path: Path) -> Iterator[ast.AST]:
    """All nodes of a file but its docstrings."""
    texts = {
        id(node.body[0].value)
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
    }
    return (node for node in ast.walk(TREES[path]) if id(node) not in texts)


def strings(node: ast.AST) -> set[str]:
    """The string constants below a node, those in f-strings too."""
    below = ast.walk(node)
    return {each.value for each in below if isinstance(each, ast.Constant) and isinstance(each.value, str)}


@pytest.mark.parametrize("stage", STAGES)
def test_params_listed_are_the_params_read(stage):
    listed = STAGES[stage].get("params", [])
    assert set(listed) == (keys_read(stage) if stage in COMMON else set())
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("stage", STAGES)
def test_code_listed_is_the_code_imported(stage):
    """Rooms as folders, scripts of stages one by one."""
    listed = [dep for dep in STAGES[stage]["deps"] if dep.split("/")[0] in ("moleflow", "stages")]
    if stage == "check":  # it asks every stage what it reads, and every family what it has
        assert set(listed) == {"moleflow", "stages"}
        return
    reached = closure(Path("stages") / f"{stage}.py")
    scripts = {path.as_posix() for path in reached if path.parts[0] == "stages" and path.name != "__init__.py"}
    rooms = {f"moleflow/{room}" for room in map(room_of, reached) if room}
    assert set(listed) == rooms | scripts
    assert len(listed) == len(set(listed))


def test_the_closure_follows_packages_that_import_something():
    """A layout or a baseline is reached through its package alone."""
    assert Path("moleflow/datasets/layouts/visa.py") in closure(Path("stages/index.py"))
    assert Path("moleflow/baselines/padim.py") in closure(Path("stages/baseline.py"))
    assert Path("moleflow/__init__.py") in closure(Path("stages/demo.py"))


@pytest.mark.parametrize("package", ["moleflow", "stages"])
def test_what_lies_beside_the_rooms_holds_no_code_that_no_stage_would_list(package):
    assert all(isinstance(node, ast.Expr) for node in TREES[Path(package, "__init__.py")].body)
    beside = {path.name for path in SOURCES if path.parent == Path("moleflow")}
    assert beside == {"__init__.py", "__main__.py", "revisions.py", "inspector.py"}


def test_every_key_has_a_reader():
    text = (ROOT / "dvc.yaml").read_text()
    read = set().union(*map(keys_read, CHECKED)) | {key for key in PARAMS if f"${{{key}}}" in text}
    assert set(PARAMS) == read


def test_check_knows_every_stage_and_every_name():
    assert set(CHECKED) == set(STAGES) - {"check", "demo"}
    text = {key for key, value in PARAMS.items() if isinstance(value, str | list) and value != PARAMS["layers"]}
    assert text - set(NAMES) == {
        "first_task", "later_tasks", "backbone", "backbone_weights", "device", "bit_depth", "consistency", "dsm_sigma",
    }  # fmt: skip


@pytest.mark.parametrize("stage", PER_PRODUCT)
def test_a_stage_of_one_product_depends_on_what_params_come_to_for_it(stage):
    assert f"data/check/products/${{key}}/{stage}.json" in STAGES[stage]["deps"]


@pytest.mark.parametrize(("stage", "task"), [("base", "${first_task}"), ("train", "${item}")])
def test_a_stage_of_one_task_depends_on_what_params_come_to_for_it(stage, task):
    assert f"data/check/tasks/{task}.json" in STAGES[stage]["deps"]


def test_every_folder_is_a_room_and_has_its_place():
    folders = {path.name for path in (ROOT / "moleflow").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(ROOMS)
    assert set(ROOMS) - folders == {"revisions", "inspector"}  # single files
    assert {room for room in map(room_of, SOURCES) if room} == set(ROOMS)


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_room_imports_only_rooms_above_it(path):
    own = room_of(path)
    if own is None:
        return
    used = {room_of(file) for name in imported(path) for file in files_of(name)} - {None}
    assert used <= set(ROOMS[: ROOMS.index(own) + 1])


def test_no_stage_imports_protocols_or_the_command_line():
    for path in SOURCES:
        if path.parts[0] == "stages":
            assert {room_of(file) for file in closure(path)}.isdisjoint(
                {"protocols", "revisions", "inspector", "inspections", "cli"}
            ), path


def test_stages_are_imported_by_stages_alone_and_by_two_commands():
    users = {path for path in SOURCES if any(name.split(".")[0] == "stages" for name in imported(path))}
    assert {path for path in users if path.parts[0] != "stages"} == {
        Path("moleflow/cli/check.py"),
        Path("moleflow/cli/plan.py"),
    }


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        ("timm", {"backbones/backbone.py"}),
        ("zarr", {"files/feature_store.py"}),
        ("h5py", {"files/record_file.py"}),
        ("safetensors", {"files/tensor_file.py", "backbones/backbone.py"}),
        ("FrEIA", {"flow"}),
        ("ruamel", {"config/params.py", "files/params_file.py", "files/committed.py"}),
        ("filelock", {"files/locks.py"}),
        ("dvc", {"report/experiments.py", "revisions.py", "cli/plan.py", "cli/change.py"}),
    ],
)
def test_a_package_behind_a_seam_is_imported_there_alone(package, homes):
    users = {path for path in SOURCES if any(name.split(".")[0] == package for name in imported(path))}
    at_home = {home: {path for path in users if path.is_relative_to(Path("moleflow", home))} for home in homes}
    assert all(at_home.values()), f"{package} is not used where it should be"
    assert users == set().union(*at_home.values())


def test_config_imports_neither_numpy_nor_torch():
    for path in SOURCES:
        if room_of(path) == "config":
            assert {name.split(".")[0] for name in imported(path)}.isdisjoint({"numpy", "torch"}), path


def test_no_error_message_of_the_library_names_params_yaml():
    """It may be given another file, or none; the stages and check say where a key stands."""
    for path in SOURCES:
        if path.parts[0] == "moleflow":
            raised = [node for node in ast.walk(TREES[path]) if isinstance(node, ast.Raise)]
            assert not [text for node in raised for text in strings(node) if "params.yaml" in text], path


# Where a folder of that name is another one, or DVC is asked for what a commit holds.
OTHER_FOLDERS = {
    ("protocols/scenarios.py", "data/raw/demo"),  # what a scenario writes into params.yaml
    ("report/experiments.py", "metrics/classes.json"),
    ("report/experiments.py", "metrics/summary.json"),
    ("report/experiments.py", "metrics/baselines.json"),
    ("datasets/demo.py", "data"),  # of the package elpv-dataset
}


def test_paths_alone_knows_the_folders_of_a_repository():
    found = set()
    for path in SOURCES:
        if path.parts[0] == "moleflow" and path != Path("moleflow/files/paths.py"):
            nodes = list(code(path))
            texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
            parts = {text for text in texts if text.startswith(("data/", "metrics/"))}
            joined = [node for node in nodes if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
            joined += [node for node in nodes if isinstance(node, ast.Call) and "Path" in ast.unparse(node.func)]
            parts |= {text for node in joined for text in strings(node)} & {"data", "metrics"}
            found |= {(path.relative_to("moleflow").as_posix(), part) for part in parts}
    assert found == OTHER_FOLDERS


def test_every_error_of_ours_is_told_plainly():
    names = [each.name for each in pkgutil.walk_packages(moleflow.__path__, "moleflow.") if "__main__" not in each.name]
    modules = [import_module(name) for name in names]
    ours = {each for module in modules for _, each in inspect.getmembers(module, inspect.isclass)}
    errors = {each for each in ours if issubclass(each, BaseException) and each.__module__.startswith("moleflow.")}
    assert len(errors) > 5
    assert {each for each in errors if not issubclass(each, MoleflowError)} == set()


EVERY = set(STAGES) - {"check"}
FLOW = {"base", "train", "statistics", "misrouted"}

# What `dvc repro` runs again for a new member in a room, by the code alone; `check` looks at everything and always
# runs, and what follows from changed data comes on top.
RUN_AGAIN = {
    "config": EVERY,
    "protocols": set(),
    "compute": {"extract", "probe", "prototype", "route", "baseline", "recalibrate", *FLOW},
    "files": EVERY,
    "images": {"index", "extract", "probe", "score", "recalibrate", "evaluate", "report"},
    "datasets": {"demo", "index"},
    "backbones": {"extract", "probe", "recalibrate"},
    "features": {"prototype", "route", "baseline", "recalibrate", *FLOW},
    "calibration": {"route", "score", "recalibrate", "evaluate", "report"},
    "flow": {*FLOW, "recalibrate"},
    "learning": {"base", "train"},
    "routing": {"route", "evaluate", "report"},
    "statistics": {"statistics", "misrouted", "recalibrate"},
    "scoring": {"score", "recalibrate", "evaluate", "report"},
    "baselines": {"baseline"},
    "probe": {"probe"},
    "evaluation": {"evaluate", "report"},
    "report": {"report"},
    "revisions": set(),
    "inspector": set(),
    "inspections": set(),
    "cli": set(),
}


def run_again(room: str) -> set[str]:
    """The stages that list a room."""
    return {stage for stage in EVERY if room in rooms_listed(stage)}


@pytest.mark.parametrize("room", sorted({room for room in map(room_of, SOURCES) if room}))
def test_what_a_new_member_runs_again(room):
    assert run_again(room) == RUN_AGAIN[room]


@pytest.mark.parametrize(
    ("room", "spared"),
    [
        *((room, {"extract", "probe", "base", "train"}) for room in ("protocols", "datasets", "report", "inspector")),
        ("routing", {"extract", "probe", "base", "train", "statistics"}),
        ("scoring", {"extract", "probe", "baseline", *FLOW}),
        ("learning", {"extract", "probe", "prototype"}),
        *((room, {"baseline", "score", "route", "evaluate", "report"}) for room in ("flow", "learning")),
    ],
)
def test_what_a_new_member_never_runs_again(room, spared):
    """The dear stages stay as they are: no protocol extracts, no router trains, no score runs the flow."""
    assert run_again(room).isdisjoint(spared)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_before_statistics_depends_on_no_test_image(stage):
    """Law 6: prototype sees the normal groups alone; base and train see prototypes, not stores."""
    features = [dep for dep in STAGES[stage]["deps"] if "data/features" in dep]
    normal = [f"data/features/${{key}}.zarr/{group}" for group in ("train", "rotated", "calibration")]
    after = {"statistics": ["data/features/${key}.zarr"]}
    after |= {each: ["data/features"] for each in ("route", "misrouted", "baseline")}
    assert features == {"prototype": normal, **after}.get(stage, [])
