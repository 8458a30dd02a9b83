import json
import subprocess
import sys

import pytest

from moleflow.report.experiments import ExperimentsError, plainly_named, repetition_table
from moleflow.report.results import results
from moleflow.report.tables import ACCURACY, ALARMS, COMPARED, THRESHOLDS, Table, accuracy_table, continual_table

PRODUCT = {
    **dict.fromkeys([*ACCURACY, *ALARMS, *COMPARED, *THRESHOLDS, "false_alarm_low", "false_alarm_high"], 0.5),
    "aupro": None,
}
PRODUCT["alarm_rate"] = 0.01
ACCOUNT = {"total": 0.1, "own_expert": 0.0, "routing": 0.1}
SUMMARY = {**PRODUCT, "continual": {"image_auroc": {"forgetting": ACCOUNT}}, "calibration": {"target": 0.05}}
SUMMARY |= {"own_experts_after_each_task": "proved by digest", "alarm_for": "shifted"}
CANDIDATE = {"probe_image_auroc": 0.9, "test_image_auroc": 0.8, "probe_pixel_ap": None, "test_pixel_ap": None}
AGREEMENT = {"image_auroc": {"spearman": 0.25, "chosen": "nll", "best": "knn", "cost": 0.125}}
METRICS = {
    "summary": SUMMARY,
    "classes": {"bolt": PRODUCT},
    "baselines": {"knn": {"summary": {**SUMMARY, "f1": 0.25}, "classes": {"bolt": {**PRODUCT, "image_auroc": 0.75}}}},
    "probe": {"bolt": {"judged_by": "distances", "candidates": {"nll": CANDIDATE}, "agreement": AGREEMENT}},
    "costs": {
        "products": {
            "bolt": {"seconds": 61.4, "bytes": 2.5e6, "parameters": 1234567, "peak_memory_bytes": 1.5e9},
            "nut": {"seconds": None, "bytes": None, "parameters": 7, "peak_memory_bytes": None},
        },
        "stages": {
            "score": {each: {"seconds": 2.0, "bytes": 1e6, "peak_memory_bytes": 1e9} for each in ("bolt", "nut")}
        },
    },
}


def test_no_cell_ends_early_or_begins_a_tag(unpadded):
    table = Table(["a|b", "plain"], [['<b>"x"&', "back\\slash"], ["\\|", "two\nlines"]])
    assert unpadded(table.markdown()) == [
        r"| a\|b | plain |",
        "| --- | --- |",
        r'| \<b>"x"\& | back\slash |',
        r"| \\\| | two lines |",
    ]


def test_cells_stay_as_they_are_written(unpadded):
    rows = [["1e3", "1,234", "0.50"], ["", "–", "007"]]
    assert unpadded(Table(["a", "b", "c"], rows).markdown())[2:] == ["| 1e3 | 1,234 | 0.50 |", "| | – | 007 |"]
    assert unpadded(Table(["a", "b"], []).markdown()) == ["| a | b |", "| --- | --- |"]


def test_a_product_called_mean_keeps_its_line():
    lines = accuracy_table({"mean": PRODUCT}, SUMMARY).rows
    assert [line[0] for line in lines] == ["mean", "mean"]


def test_results_show_every_product_method_and_cost(unpadded):
    lines = unpadded(results(METRICS))
    assert "| bolt | 0.500 | 0.500 | 0.500 | 0.500 | – | 0.500 | 0.500 |" in lines
    assert "| bolt | 0.01 | 0.500 | 0.500 to 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 |" in lines
    assert "### The same thresholds, product given; the rate is promised for other days too, as far" in "\n".join(lines)
    assert "| bolt | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 |" in lines
    assert "| image AUROC | forgetting | 0.100 | 0.000 | 0.100 |" in lines
    assert "| knn | 0.500 | 0.500 | – | 0.250 | 0.500 |" in lines
    assert "| knn | 0.750 |" in lines
    assert "| bolt | image AUROC | 0.250 | nll | knn | 0.125 |" in lines
    assert "| nll | 0.900 | 0.800 | – | – |" in lines
    assert "| bolt | distances |" in lines
    assert "| mean | 0.05 |" in "\n".join(lines)
    assert "| bolt | 61 | 2.5 | 1,234,567 | 1.50 |" in lines
    assert "| nut | – | – | 7 | – |" in lines
    assert "| score | 2 | 4.0 | 2.0 | 2.0 | 1.00 |" in lines


def test_without_baselines_their_tables_are_left_out():
    assert "baselines" not in results({**METRICS, "baselines": {}})


def run(folder, *arguments):
    return subprocess.run([sys.executable, "-m", "moleflow", *arguments], cwd=folder, capture_output=True, text=True)


def test_command_prints_the_metrics_of_the_checkout(tmp_path):
    missing = run(tmp_path, "results")
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: metrics/summary.json does not exist; `dvc repro` makes it")
    (tmp_path / "metrics").mkdir()
    for name, content in METRICS.items():
        (tmp_path / "metrics" / f"{name}.json").write_text(json.dumps(content))
    assert run(tmp_path, "results").stdout.strip() == results(METRICS)


def experiment(seed, lr, auroc, order="t0"):
    return {"seed": seed, "lr": lr, "first_task": order, "score": "nll", "image_auroc": auroc}


KEYS = ["seed", "first_task", "lr", "score"]


def test_repetitions_are_averaged_over_seeds_and_orders_only(unpadded):
    rows = [experiment(0, 1e-3, 0.9), experiment(1, 1e-3, 0.8, "t1"), experiment(0, 3e-4, 0.5)]
    lines = unpadded(repetition_table(rows, KEYS, ["image_auroc"]))
    assert lines[0] == "| lr | experiments | image_auroc |"
    assert lines[2:] == ["| 0.0003 | 1 | 0.500 |", "| 0.001 | 2 | 0.850 ± 0.071 |"]


def test_a_name_that_a_parameter_and_a_metric_share_is_both(unpadded):
    """`precision` is one of each; DVC then puts the file before both."""
    row = plainly_named({"seed": 0, "params.yaml:precision": "fp32", "metrics/summary.json:precision": 0.5, "f1": 0.25})
    assert row["precision"] == "fp32"
    other = row | {"precision": "bf16", "metrics/summary.json:precision": 0.75}
    lines = unpadded(repetition_table([row, other], ["seed", "precision"], ["precision", "f1"]))
    assert lines[2:] == ["| bf16 | 1 | 0.750 | 0.250 |", "| fp32 | 1 | 0.500 | 0.250 |"]


def test_numbers_are_short_whatever_their_size(unpadded):
    rows = [{**experiment(0, 1e-3, 0.9), "score": 152.0, "bytes": 2.5e8}, {**experiment(0, 1e-3, 0.8), "bytes": 1e6}]
    lines = unpadded(repetition_table(rows, KEYS, ["image_auroc", "bytes"]))
    assert lines[2:] == ["| 152 | 1 | 0.900 | 250,000,000 |", "| nll | 1 | 0.800 | 1,000,000 |"]


def test_failed_experiments_are_left_out_and_none_is_an_error(unpadded):
    rows = [experiment(0, 1e-3, 0.9), experiment(1, 1e-3, None)]
    assert unpadded(repetition_table(rows, KEYS, ["image_auroc"]))[2] == "| 1 | 0.900 |"
    with pytest.raises(ExperimentsError, match="no finished experiment has image_f2; run `dvc exp run --queue"):
        repetition_table(rows, KEYS, ["image_f2"])


def test_the_continual_account_says_how_the_own_experts_are_known():
    (row,) = continual_table(SUMMARY).rows
    assert continual_table(SUMMARY).header[-2] == "own experts (proved by digest)"
    assert row == ["image AUROC", "forgetting", "0.100", "0.000", "0.100"]
