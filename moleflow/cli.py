"""The command line: `python -m moleflow results` and `python -m moleflow table`."""

import argparse
import json
from pathlib import Path

from moleflow.artifacts import ArtifactError
from moleflow.errors import told_plainly
from moleflow.tables import results

METRICS = Path("metrics")
COMPARED = ("image_auroc", "pixel_ap", "aupro", "routing_accuracy", "continual.image_auroc.forgetting.total")


@told_plainly
def main() -> None:
    """Parses the command line and runs the command."""
    parser = argparse.ArgumentParser(prog="python -m moleflow", description=__doc__)
    commands = parser.add_subparsers(required=True)
    show = commands.add_parser("results", help="print the metrics of the checked-out commit as tables")
    show.set_defaults(command=lambda arguments: _print_results())
    repeat = commands.add_parser(
        "table", help="print mean ± std over the experiments of a commit that differ only in seed or task order"
    )
    repeat.add_argument("metrics", nargs="*", default=COMPARED, help=f"default: {' '.join(COMPARED)}")
    repeat.add_argument("--rev", default="HEAD", help="the commit that the experiments started from; default: HEAD")
    repeat.set_defaults(command=lambda arguments: _print_repetitions(arguments.metrics, arguments.rev))
    arguments = parser.parse_args()
    arguments.command(arguments)


def _print_results() -> None:
    metrics = {}
    for name in ("summary", "classes", "baselines", "probe", "costs"):
        path = METRICS / f"{name}.json"
        if not path.is_file():
            raise ArtifactError(f"{path} does not exist; run `dvc repro` at the top of the repository")
        metrics[name] = json.loads(path.read_text())
    print(results(metrics))


def _print_repetitions(metrics: list[str], rev: str) -> None:
    from moleflow.experiments import read_experiments, repetition_table  # takes DVC a second to import

    rows, keys = read_experiments(rev)
    print(repetition_table(rows, keys, list(metrics)))
