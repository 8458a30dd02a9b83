"""`moleflow results`: the metrics of the checked-out commit as tables."""

import argparse
from pathlib import Path
from typing import Any

from moleflow.files.artifacts import read_json
from moleflow.files.paths import Paths
from moleflow.report.results import results


def add(commands: Any) -> None:
    """Adds the command to the parser's commands.

    Args:
        commands: what argparse's `add_subparsers` returned.
    """
    parser = commands.add_parser("results", help="print the metrics of the checked-out commit as tables")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the tables.

    Args:
        arguments: none are used.

    Raises:
        ArtifactError: a file of metrics does not exist or is not JSON.
    """
    metrics = {}
    for name in ("summary", "classes", "baselines", "probe", "costs"):
        metrics[name] = read_json(Paths(Path()).metrics / f"{name}.json")
    print(results(metrics))
