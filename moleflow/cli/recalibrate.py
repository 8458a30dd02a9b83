"""`moleflow recalibrate`: new thresholds of a product by new normal images, without training."""

import argparse
from pathlib import Path

from moleflow.cli.change import all_or_nothing, path_to_list, product_digests, proof, repro
from moleflow.files.params_file import set_recalibration
from moleflow.files.paths import Paths
from moleflow.scoring.scorer import load_scorer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("name", help="of the product")
    parser.add_argument("folder", type=Path, help="normal images of it, of today")


def run(arguments: argparse.Namespace) -> None:
    """Calibrates the product anew; if anything fails, all is as before.

    Args:
        arguments: name and folder.

    Raises:
        ParamsError: there is no such product.
        ChangeError: `dvc repro` failed.
    """
    paths, name = Paths(Path()), arguments.name
    before = product_digests(paths)
    with all_or_nothing(paths):
        set_recalibration(name, path_to_list(arguments.folder), paths.params)
        repro()
    print(f"\n{proof(before, product_digests(paths))}")
    for path, when in ((paths.scorers.of(name), "before"), (paths.scorer_of(name), "now")):
        scorer, attributes = load_scorer(path)
        threshold = scorer.threshold(attributes["alarm_rate"])
        print(f"{name}, {when}: an alarm above {threshold:.4g}, by {len(scorer.unchanged_scores)} normal images")
