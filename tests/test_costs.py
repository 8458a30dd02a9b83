"""Costs: one file that no stage owns; every stage keeps its own entry in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from moleflow.artifacts import write_json
from moleflow.costs import COSTS, PER_PRODUCT, measured, summarize_costs

COST = {"seconds": 2.0, "bytes": 10, "peak_memory_bytes": 5}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def costs():
    return json.loads(COSTS.read_text())


def test_costs_of_removed_products_and_baselines_do_not_count(folder):
    runs = {stage: ["bolt", "gone"] for stage in PER_PRODUCT}
    runs |= {"base": ["t0"], "train": ["t9"], "baseline": ["knn"], "route": ["all"]}
    write_json(COSTS, {"stages": {stage: dict.fromkeys(items, COST) for stage, items in runs.items()}})
    summarize_costs({"bolt": "t0"}, "t0", [], {"bolt": 3})
    stages = len(PER_PRODUCT) + 1  # and the base
    assert costs()["products"] == {
        "bolt": {"seconds": 2.0 * stages, "bytes": 10 * stages, "peak_memory_bytes": 5, "parameters": 3}
    }
    assert costs()["stages"]["extract"] == {"bolt": COST}
    assert set(costs()["stages"]) == {*PER_PRODUCT, "base", "route"}, "a stage of nothing but removed items is no stage"
    assert costs()["total"] == {
        "seconds": 2.0 * stages, "bytes": 10 * stages, "parameters": 3, "extract_seconds": 2.0, "extract_bytes": 10,
    }  # fmt: skip


def test_products_of_a_task_share_what_it_cost(folder):
    runs = {stage: ["bolt", "nut"] for stage in PER_PRODUCT} | {"base": ["t0"]}
    write_json(COSTS, {"stages": {stage: dict.fromkeys(items, COST) for stage, items in runs.items()}})
    summarize_costs({"bolt": "t0", "nut": "t0"}, "t0", [], {"bolt": 3, "nut": 3})
    assert costs()["products"]["bolt"]["seconds"] == 2.0 * (len(PER_PRODUCT) + 0.5)


def test_an_entry_that_is_missing_leaves_the_sums_undefined(folder):
    """As where a stage came from DVC's cache into a checkout that never ran it."""
    summarize_costs({"bolt": "t0"}, "t0", [], {"bolt": 3})
    unknown = {"seconds": None, "bytes": None, "peak_memory_bytes": None}
    assert costs()["products"] == {"bolt": {**unknown, "parameters": 3}}
    assert costs()["total"]["seconds"] is None
    assert costs()["total"]["parameters"] == 3


def test_an_entry_counts_every_file_and_leaves_the_others(folder):
    (folder / "out/deep").mkdir(parents=True)
    (folder / "out/deep/a").write_bytes(b"123")
    (folder / "b").write_bytes(b"12")
    with measured("extract", "bolt", [Path("out"), Path("b")]):
        pass
    before = costs()["stages"]["extract"]["bolt"]
    assert before["bytes"] == 5
    with measured("extract", "nut", []):
        pass
    with pytest.raises(RuntimeError), measured("extract", "bolt", []):
        raise RuntimeError
    assert costs()["stages"]["extract"] == {"bolt": before, "nut": costs()["stages"]["extract"]["nut"]}


def test_two_runs_at_once_lose_no_entry(folder):
    """Two `dvc repro` of disjoint stages write the same file."""
    script = (
        "import sys\nfrom moleflow.costs import measured\n"
        "for number in range(300):\n"
        "    with measured('score', f'{sys.argv[1]}{number}', []):\n        pass\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, name]) for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(costs()["stages"]["score"]) == 600
