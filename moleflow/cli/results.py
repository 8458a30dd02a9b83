"""`moleflow results`: the metrics of the checked-out commit as tables."""

import argparse
from pathlib import Path

from moleflow.files.artifacts import read_json
from moleflow.files.paths import Paths
from moleflow.report.results import results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """


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
