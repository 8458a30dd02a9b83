"""The graph under real DVC: what runs after which change, that nothing is left over, and that dvc.lock repeats."""

import json
import shutil

import pytest
from clones import Clone, git, stages_run, write_product

from moleflow.tensors_file import load_tensors

PRODUCTS = ("bolt", "nut", "washer")
SCORED = {"check", *(f"score@{name}" for name in PRODUCTS), "evaluate", "report"}

# Loaded by every Python process: a forward pass of the flow or the fit of a baseline is an error in it.
NO_FLOW_NO_FIT = '''
import importlib.util
import sys


def forbidden(*arguments, **keywords):
    raise AssertionError("this change needs no flow and no baseline fitted anew")


class Watch:
    """Spoils two modules once they are loaded."""

    def find_spec(self, name, path=None, target=None):
        if name not in ("moleflow.flow.density", "moleflow.baselines"):
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        sys.meta_path.insert(0, self)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            spoilt = [module.Density] if name.endswith("density") else [module.KNN, module.PaDiM, module.PCA]
            for each in spoilt:
                setattr(each, "forward" if name.endswith("density") else "__init__", forbidden)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Watch())
'''


@pytest.fixture
def no_flow_no_fit(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(NO_FLOW_NO_FIT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


def test_scores_and_rates_change_without_the_flow_and_without_a_baseline(copy, no_flow_no_fit):
    before = copy.hashes()
    changes = ("-S", "top_k=2", "-S", "score=memory", "-S", "alarm_rate=0.1")
    assert stages_run(copy.dvc("exp", "run", *changes, "report")) == SCORED
    moved = {path.split("/")[1] for path, md5 in copy.hashes().items() if before[path] != md5}
    assert moved - {"summary.json", "classes.json", "baselines.json", "probe.json", "plots"} == {
        "check", "scores", "scorers",
    }  # fmt: skip


def test_the_spoilt_flow_would_have_been_noticed(copy, no_flow_no_fit):
    copy.edit(precision="bf16")
    assert "this change needs no flow" in copy.dvc("repro", "statistics@nut", check=False)


def plan(clone):
    """What the commands say will run."""
    code = (
        "import json; from pathlib import Path; from moleflow.plan import planned_stages;"
        "from stages.check import write_check; write_check(Path('params.yaml')); print(json.dumps(planned_stages()))"
    )
    planned = json.loads(clone.python("-c", code).stdout.splitlines()[-1])
    planned.pop("demo", None)  # never run here
    return planned


def test_one_products_rate_runs_its_scores_alone_as_announced(copy):
    assert plan(copy) == {}
    params = copy.params()
    params["classes"]["nut"]["alarm_rate"] = 0.1
    copy.edit(classes=params["classes"])
    assert plan(copy) == {"check": [], "score": ["nut"], "evaluate": [], "report": []}
    assert copy.repro() == {"check", "score@nut", "evaluate", "report"}
    assert {name: each["alarm_rate"] for name, each in copy.metrics("classes").items()} == {
        "bolt": 0.2, "nut": 0.1, "washer": 0.2,
    }  # fmt: skip


def test_a_comment_or_an_editors_file_runs_nothing_that_computes(copy):
    for stray in ("moleflow/flow/.density.py.swp", "moleflow/costs.py~", "stages/notes.txt", "moleflow/flow/a.orig"):
        (copy.root / stray).write_text("no source")
    assert "up to date" in copy.dvc("status", "--with-deps", "report")
    with (copy.root / "params.yaml").open("a") as file:
        file.write("# a comment\n")
    assert copy.repro() == {"check", "report"}  # the page shows params.yaml


def test_all_products_and_strays_are_replaced_and_a_second_checkout_is_clean(copy, tmp_path):
    """A new user's first hour: other products under the same tasks; something unlisted lies in every whole folder."""
    folders = {"index": ".csv", "features": ".zarr", "probes": ".zarr", "statistics": ".h5", "scores": ".h5"}
    folders |= {"scorers": ".safetensors", "baselines": ".h5", "tasks/t0": ".safetensors", "tasks": "", "experts": ""}
    strays = [copy.root / "data" / folder / f"gone{suffix}" for folder, suffix in {**folders, "curves": ""}.items()]
    for stray in strays:
        stray.write_text("left by something else")
    copy.edit(classes={}, later_tasks=[])
    for number, name in enumerate(("rivet", "screw")):
        write_product(copy.root / "data/raw/small" / name, 10 + number)
        copy.add(name, f"t{number}")
    copy.repro()
    assert list(copy.metrics("classes")) == ["rivet", "screw"]
    assert not any(stray.exists() for stray in strays)
    left = [path for path in (copy.root / "data").glob("*/*") if path.stem in (*PRODUCTS, "t2")]
    assert [path for path in left if path.parent.name not in ("small", "products")] == []

    copy.commit()
    other = Clone(tmp_path / "other")
    git(tmp_path, "clone", "-q", str(copy.root), str(other.root))
    shutil.copytree(copy.root / "data/raw", other.root / "data/raw")
    other.dvc("cache", "dir", "--local", str(copy.root / ".dvc/cache"))
    other.dvc("checkout", "--with-deps", "report")
    assert "up to date" in other.dvc("status", "--with-deps", "report")
    assert other.repro() == set()


@pytest.mark.parametrize("expert_per", ["class", "task"])
def test_a_task_that_loses_one_of_two_products_is_learnt_again_without_it(copy, expert_per):
    """In the first task nut leaves bolt, in a later one rivet leaves washer."""
    write_product(copy.root / "data/raw/small/rivet", 7)
    params = copy.params()
    params["classes"]["nut"]["task"], params["classes"]["washer"]["task"] = "t0", "t1"
    copy.edit(classes=params["classes"], later_tasks=["t1"], expert_per=expert_per)
    copy.add("rivet", "t1")
    copy.edit(later_tasks=["t1"])
    copy.repro("train@t1")
    assert served(copy) == {"t0": {"bolt", "nut"}, "t1": {"washer", "rivet"}}
    params = copy.params()
    del params["classes"]["nut"], params["classes"]["rivet"]
    copy.edit(classes=params["classes"])
    assert copy.repro("train@t1") == {"check", "base", "train@t1"}
    assert served(copy) == {"t0": {"bolt"}, "t1": {"washer"}}
    for task, stays in (("t0", "bolt"), ("t1", "washer")):
        assert [path.stem for path in (copy.root / f"data/tasks/{task}").iterdir()] == [stays]
        (expert,) = (copy.root / f"data/experts/{task}").iterdir()
        assert expert.stem == (stays if expert_per == "class" else task)
        assert not [name for name in load_tensors(expert)[0] if "nut" in name or "rivet" in name]


def served(clone):
    """Per task the products that its experts were learnt on."""
    files = {task: list((clone.root / f"data/experts/{task}").iterdir()) for task in ("t0", "t1")}
    return {task: set().union(*(load_tensors(file)[1]["features"] for file in each)) for task, each in files.items()}
