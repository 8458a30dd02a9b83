"""`moleflow recalibrate`: new thresholds of a product by new normal images, without training."""

import argparse
import os
from pathlib import Path

from moleflow.cli.change import all_or_nothing, path_to_list, product_digests, proof
from moleflow.cli.plan import refresh_check
from moleflow.config.params import ParamsError
from moleflow.config.products import load_products
from moleflow.files.params_file import require_product, set_recalibration
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
        ParamsError: there is no such product or folder, or params.yaml is wrong.
        ChangeError: `dvc repro` failed.
    """
    paths, name, folder = Paths(Path()), arguments.name, path_to_list(arguments.folder)
    require_product(name, list(load_products(paths.params).classes), paths.params)
    if not os.path.isdir(folder):
        raise ParamsError(f"{folder} is no folder; name one with normal images of {name}")
    refresh_check(paths)  # refuses a wrong params.yaml
    before = product_digests(paths)
    with all_or_nothing(paths) as change:
        set_recalibration(name, folder, paths.params)
        change.repro()
    print(f"\n{proof(before, product_digests(paths))}")
    for path, when in ((paths.scorers.of(name), "before"), (paths.scorer_of(name), "now")):
        scorer, attributes = load_scorer(path)
        threshold = scorer.threshold(attributes["alarm_rate"])
        print(f"{name}, {when}: an alarm above {threshold:.4g}, by {len(scorer.unchanged_scores)} normal images")
