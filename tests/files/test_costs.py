"""Costs: one file that no stage owns; every stage keeps its own entry in it."""

import json
import subprocess
import sys

import pytest

from moleflow.files.artifacts import ArtifactError, write_json
from moleflow.files.costs import measured, summarize_costs
from moleflow.files.order import PER_PRODUCT
from moleflow.files.paths import Paths

COST = {"seconds": 2.0, "bytes": 10, "peak_memory_bytes": 5}


@pytest.fixture
def path(tmp_path):
    return Paths(tmp_path).costs


def costs(path):
    return json.loads(path.read_text())


def test_costs_of_removed_products_and_baselines_do_not_count(path):
    runs = {stage: ["bolt", "gone"] for stage in PER_PRODUCT}
    runs |= {"base": ["t0"], "train": ["t9"], "baseline": ["knn"], "route": ["all"]}
    write_json(path, {"stages": {stage: dict.fromkeys(items, COST) for stage, items in runs.items()}})
    summarize_costs(path, {"bolt": "t0"}, "t0", [], {"bolt": 3})
    stages = len(PER_PRODUCT) + 1  # and the base
    assert costs(path)["products"] == {
        "bolt": {"seconds": 2.0 * stages, "bytes": 10 * stages, "peak_memory_bytes": 5, "parameters": 3}
    }
    assert costs(path)["stages"]["extract"] == {"bolt": COST}
    assert set(costs(path)["stages"]) == {*PER_PRODUCT, "base", "route"}, (
        "a stage of nothing but removed items is no stage"
    )
    assert costs(path)["total"] == {
        "seconds": 2.0 * stages, "bytes": 10 * stages, "parameters": 3, "extract_seconds": 2.0, "extract_bytes": 10,
    }  # fmt: skip


def test_products_of_a_task_share_what_it_cost(path):
    runs = {stage: ["bolt", "nut"] for stage in PER_PRODUCT} | {"base": ["t0"]}
    write_json(path, {"stages": {stage: dict.fromkeys(items, COST) for stage, items in runs.items()}})
    summarize_costs(path, {"bolt": "t0", "nut": "t0"}, "t0", [], {"bolt": 3, "nut": 3})
    assert costs(path)["products"]["bolt"]["seconds"] == 2.0 * (len(PER_PRODUCT) + 0.5)


def test_an_entry_that_is_missing_leaves_the_sums_undefined(path):
    """As where a stage came from DVC's cache into a checkout that never ran it."""
    summarize_costs(path, {"bolt": "t0"}, "t0", [], {"bolt": 3})
    unknown = {"seconds": None, "bytes": None, "peak_memory_bytes": None}
    assert costs(path)["products"] == {"bolt": {**unknown, "parameters": 3}}
    assert costs(path)["total"]["seconds"] is None
    assert costs(path)["total"]["parameters"] == 3


def test_an_entry_counts_every_file_and_leaves_the_others(path, tmp_path):
    (tmp_path / "out/deep").mkdir(parents=True)
    (tmp_path / "out/deep/a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"12")
    with measured(path, "extract", "bolt", [tmp_path / "out", tmp_path / "b"]):
        pass
    before = costs(path)["stages"]["extract"]["bolt"]
    assert before["bytes"] == 5
    with measured(path, "extract", "nut", []):
        pass
    with pytest.raises(RuntimeError), measured(path, "extract", "bolt", []):
        raise RuntimeError
    assert costs(path)["stages"]["extract"] == {"bolt": before, "nut": costs(path)["stages"]["extract"]["nut"]}


def test_two_runs_at_once_lose_no_entry(path):
    """Two `dvc repro` of disjoint stages write the same file."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom moleflow.files.costs import measured\n"
        "for number in range(300):\n"
        "    with measured(Path(sys.argv[2]), 'score', f'{sys.argv[1]}{number}', []):\n        pass\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, name, str(path)]) for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(costs(path)["stages"]["score"]) == 600


def test_a_broken_file_is_told_before_the_work(path, tmp_path):
    path.parent.mkdir(parents=True)
    path.write_text("<<<<<<< HEAD")
    with pytest.raises(ArtifactError, match="costs"), measured(path, "base", "t0", []):
        (tmp_path / "worked").touch()
    assert not (tmp_path / "worked").exists()
