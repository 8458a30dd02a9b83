"""A changed value under real DVC: what runs, and what does not.

Each test starts a process per stage. What the stages compute is asserted in process, in test_stages.py.
"""

import json

import pytest
from projects import PRODUCTS, git, stages_run

pytestmark = pytest.mark.dvc

SCORED = {"check", *(f"score@{name}" for name in PRODUCTS), "evaluate", "report"}
LEARNED = {"check", "base", "train@t1", "train@t2", "misrouted", "evaluate", "report"}  # the routes stay the same
LEARNED |= {f"{stage}@{name}" for stage in ("statistics", "score") for name in PRODUCTS}

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
            spoiled = [module.Density] if name.endswith("density") else [module.KNN, module.PaDiM, module.PCA]
            for each in spoiled:
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


def plan(clone):
    """What the commands say will run."""
    code = (
        "import json; from pathlib import Path; from moleflow.cli.plan import planned_stages;"
        "from moleflow.files.paths import Paths; from stages.check import write_check;"
        "write_check(Paths(Path())); print(json.dumps(planned_stages()))"
    )
    planned = json.loads(clone.python("-c", code).stdout.splitlines()[-1])
    planned.pop("demo", None)  # never run here
    return planned


def test_a_copy_shares_no_file_with_the_original(done, copy):
    original, copied = ({inode for inode, *_ in clone.files().values()} for clone in (done, copy))
    assert len(copied) == len(original)
    assert copied.isdisjoint(original)


def test_repro_again_and_after_a_comment_or_an_editors_file_runs_nothing_that_computes(copy):
    assert copy.repro() == set()
    assert git(copy.root, "status", "--porcelain") == ""
    strays = ("moleflow/flow/.density.py.swp", "moleflow/files/costs.py~", "stages/notes.txt", "moleflow/flow/a.orig")
    for stray in strays:
        (copy.root / stray).write_text("no source")
    assert "up to date" in copy.dvc("status", "--with-deps", "report")
    with (copy.root / "params.yaml").open("a") as file:
        file.write("# a comment\n")
    assert copy.repro() == {"check", "report"}  # the page shows params.yaml


def test_scores_and_rates_change_without_the_flow_and_without_a_baseline(copy, no_flow_no_fit):
    before = copy.hashes()
    changes = ("-S", "top_k=2", "-S", "score=memory", "-S", "alarm_rate=0.1")
    assert stages_run(copy.dvc("exp", "run", *changes, "report")) == SCORED
    moved = {path.split("/")[1] for path, md5 in copy.hashes().items() if before[path] != md5}
    assert moved - {"summary.json", "classes.json", "baselines.json", "probe.json", "plots"} == {
        "check", "scores", "scorers",
    }  # fmt: skip
    spoiled = copy.command("stages.statistics", "nut", "t1", check=False)  # it would have been noticed
    assert "this change needs no flow" in spoiled.stderr


def test_one_products_rate_runs_its_scores_alone_as_announced(copy):
    assert plan(copy) == {}
    params = copy.params()
    params["classes"]["nut"]["alarm_rate"] = 0.1
    copy.edit(classes=params["classes"])
    assert plan(copy) == {"check": [], "score": ["nut"], "evaluate": [], "report": []}
    assert copy.repro() == {"check", "score@nut", "evaluate", "report"}
    rates = {name: each["alarm_rate"] for name, each in copy.metrics("classes").items()}
    assert rates == {"bolt": 0.2, "nut": 0.1, "washer": 0.2}


def test_experiment_on_the_loss_reruns_learning_only(copy):
    before, hashes = copy.summary(), copy.hashes()
    ran = stages_run(copy.dvc("exp", "run", "-S", "tail_weight=0.8", "report"))
    assert ran == LEARNED
    assert {path for path, md5 in copy.hashes().items() if hashes[path] != md5} >= {"data/experts/base.safetensors"}
    assert "image_auroc" in copy.dvc("metrics", "show")
    assert "0.8" in copy.dvc("exp", "show", "--csv")
    table = [cells(line) for line in copy.command("moleflow", "table", "image_auroc").stdout.splitlines()]
    assert table[2] == ["1", f"{copy.summary()['image_auroc']:.3f}"]
    compared = [cells(line) for line in copy.command("moleflow", "compare", "aupro").stdout.splitlines()]
    assert [line[1] for line in compared[2:]] == ["flow, other", "pca"]
    assert compared[2][-1] == f"{copy.summary()['aupro']:.3f}"
    git(copy.root, "checkout", "-q", ".")
    copy.dvc("checkout", "--with-deps", "report")
    assert copy.summary() == before
    assert copy.repro() == set()


def cells(line):
    """The cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_wrong_parameter_stops_with_its_name_and_loses_nothing(copy):
    hashes = copy.hashes()
    output = copy.dvc("exp", "run", "-S", "tail_weight=high", "report", check=False)
    assert "params.yaml: tail_weight" in output
    assert "Traceback" not in output
    git(copy.root, "checkout", "-q", ".")
    assert copy.hashes() == hashes
