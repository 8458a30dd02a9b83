"""`moleflow card`: what there is of a product, what its rate can promise, what its expert can see, what it cost."""

import argparse
from pathlib import Path

from moleflow.config.params import ParamsError
from moleflow.datasets.overview import block
from moleflow.evaluation.records import Records
from moleflow.files.artifacts import read_json
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.report.card import card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("name", help="of the product")


def run(arguments: argparse.Namespace) -> None:
    """Prints the card.

    Args:
        arguments: name.

    Raises:
        ParamsError: there is no such product.
        ArtifactError: a file is missing or broken.
    """
    paths, name = Paths(Path()), arguments.name
    order = read_order(paths.order)
    if name not in order.products:
        raise ParamsError(f"{name} is no product; there are {', '.join(order.products)}")
    metrics = {stem: read_json(paths.metrics / f"{stem}.json") for stem in ("classes", "probe")}
    may_cross = order.products[name] != order.tasks[0]
    found = card(paths, name, Records(paths, order, size=1), metrics, may_cross=may_cross)
    cost = read_json(paths.costs)["products"].get(name, {})
    known = None not in (cost.get("seconds"), cost.get("bytes"))
    spent = f"{cost['seconds']:.0f} s, {cost['bytes'] / 1e6:.1f} MB written" if known else "not measured here"
    print(f"{name}\n{block({**found.facts, 'cost': spent}, found.notes)}")
