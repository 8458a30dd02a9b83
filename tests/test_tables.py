import json
import subprocess
import sys

from moleflow.tables import COLUMNS, results_table

CLASSES = {"bolt": {**dict.fromkeys(COLUMNS, 0.5), "pixel_ap": None}}
SUMMARY = {**dict.fromkeys(COLUMNS, 0.5), "forgetting_weights": 0.0, "forgetting_routing": None}


def test_table_has_a_line_per_product_and_marks_what_is_undefined():
    lines = results_table(CLASSES, SUMMARY).splitlines()
    assert lines[2] == "| bolt | 0.500 | 0.500 | 0.500 | – | 0.500 | 0.500 | 0.500 |"
    assert lines[3].startswith("| mean | 0.500")
    assert lines[-1] == "forgetting (image AUROC): 0.000 by weights, – by routing"


def run(folder):
    return subprocess.run([sys.executable, "-m", "moleflow", "results"], cwd=folder, capture_output=True, text=True)


def test_command_prints_the_metrics_of_the_checkout(tmp_path):
    missing = run(tmp_path)
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: metrics/classes.json does not exist; run `dvc repro`")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/classes.json").write_text(json.dumps(CLASSES))
    (tmp_path / "metrics/summary.json").write_text(json.dumps(SUMMARY))
    assert run(tmp_path).stdout.strip() == results_table(CLASSES, SUMMARY)
