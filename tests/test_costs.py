"""Costs: what a product costs is read from the stages it has now."""

from moleflow.artifacts import write_json
from moleflow.costs import COSTS, cost_since, read_costs, total_costs

COST = {"seconds": 2.0, "bytes": 10, "peak_memory_bytes": 5}


def test_costs_of_removed_products_and_rivals_do_not_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = {stage: ["bolt", "gone"] for stage in ("index", "extract", "probe", "prototype", "score")}
    for stage, items in {**runs, "base": ["t0"], "train": ["t9"], "baseline": ["knn"], "route": ["all"]}.items():
        for item in items:
            write_json(COSTS / stage / f"{item}.json", COST)
    products, stages = read_costs({"bolt": "t0"}, "t0", [])
    assert products == {"bolt": {"seconds": 12.0, "bytes": 60, "peak_memory_bytes": 5}}
    assert stages["extract"] == {"bolt": COST}
    assert set(stages) == {*runs, "base", "route"}, "a stage of nothing but removed items is no stage"
    total = total_costs({"bolt": products["bolt"] | {"parameters": 3}}, stages)
    assert total == {"seconds": 12.0, "bytes": 60, "parameters": 3, "extract_seconds": 2.0, "extract_bytes": 10}


def test_cost_counts_every_file_of_the_outputs(tmp_path):
    (tmp_path / "folder/deep").mkdir(parents=True)
    (tmp_path / "folder/deep/a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"12")
    assert cost_since(0.0, [tmp_path / "folder", tmp_path / "b"])["bytes"] == 5
