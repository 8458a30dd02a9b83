"""The second table of `make variants`: routers, scores and views of the lab diary beside the default, on its products.

A row's stages run in process, on a copy of a finished default run whose files are linked, in the folder; a finished row
is kept there until the code, its values or the default run change. Rows are those of `JUDGED` in tests/variants.py.

    python tests/benchmarks/judged_variants.py FOLDER [--data DATA] [--only consistency,two_stage]
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from kept_rows import Row, changed, code_of, exit_by, kept_or_measured  # noqa: E402
from projects import Project  # noqa: E402
from variants import JUDGED, Judged  # noqa: E402

from moleflow.report.tables import Table, cell  # noqa: E402

METRICS = {
    "image_auroc": "image AUROC",
    "pooled_image_auroc": "pooled",
    "pixel_ap": "pixel AP",
    "aupro": "AUPRO",
    "routing_accuracy": "routed right",
    "open_set_auroc": "open-set AUROC",
    "false_alarm_rate": "false alarms",
    "recall": "recall",
}


def measured(folder: Path, data: Path, variant: Judged) -> Row:
    """Runs the stages that the variant changes, and those that follow, and reads the summary."""
    with TemporaryDirectory(dir=folder) as place:
        copy = Project(Path(place))
        shutil.copy(data / "params.yaml", place)
        shutil.copytree(data / "metrics", copy.root / "metrics")
        subprocess.run(["cp", "-al", data / "data", place], check=True)  # stages replace files, and change none
        copy.edit(**variant.changes)
        start = time.monotonic()
        with contextlib.redirect_stdout(sys.stderr):
            copy.run("check", *variant.stages, "evaluate")
        return {"seconds": time.monotonic() - start, **copy.summary()}


def line(name: str, changes: Row, row: Row, diary: str) -> list[str]:
    """A row's cells."""
    said = changed(changes)
    if "failed" in row:
        return [name, said, f"failed: {row['failed']}", *[""] * len(METRICS), diary]
    seconds = f"{row['seconds']:.0f}" if "seconds" in row else ""
    return [name, said, *(cell(row[metric]) for metric in METRICS), seconds, diary]


def main() -> None:
    """Measures what is missing, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT, help="repository with a finished default run")
    parser.add_argument("--only", default="", help="parts of names of rows, separated by commas")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    data, wanted = arguments.data.resolve(), arguments.only.split(",")
    chosen = {name: variant for name, variant in JUDGED.items() if any(part in name for part in wanted)}
    made_by = [code_of(ROOT / "moleflow", ROOT / "stages"), (data / "dvc.lock").read_text()]
    rows = {}
    for name, variant in chosen.items():
        measure = partial(measured, arguments.folder, data, variant)
        rows[name] = kept_or_measured(arguments.folder, name, [*made_by, variant.changes], measure)
    lines = [line("default", {}, json.loads((data / "metrics/summary.json").read_text()), "")]
    lines += [line(name, variant.changes, rows[name], variant.diary) for name, variant in chosen.items()]
    print("\n## Routers, scores and views\n")
    print("`make variants`: the default on its five products, one seed, and one change each. Seconds are those of the")
    print(
        "stages that run again, from the first that the change reaches to `evaluate`. Nothing is chosen by this table:"
    )
    print("its figures are those of test images.\n")
    print(Table(["variant", "changes", *METRICS.values(), "seconds", "the diary's number"], lines).markdown())
    exit_by(rows)


if __name__ == "__main__":
    main()
