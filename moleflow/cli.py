"""The command line: `python -m moleflow results`."""

import argparse
import json
from pathlib import Path
from typing import Any

from moleflow.artifacts import ArtifactError
from moleflow.errors import told_plainly
from moleflow.tables import results_table


@told_plainly
def main() -> None:
    """Parses the command line and runs the command."""
    parser = argparse.ArgumentParser(prog="python -m moleflow", description=__doc__)
    commands = parser.add_subparsers(required=True)
    results = commands.add_parser("results", help="print metrics/classes.json and metrics/summary.json as a table")
    results.set_defaults(command=_print_results)
    parser.parse_args().command()


def _print_results() -> None:
    print(results_table(_read(Path("metrics/classes.json")), _read(Path("metrics/summary.json"))))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; run `dvc repro` at the top of the repository")
    return json.loads(path.read_text())
