"""`moleflow scenario`: products and tasks of a published protocol, into params.yaml; without arguments, a list."""

import argparse
import sys
from pathlib import Path

from moleflow.cli.plan import planned
from moleflow.config.products import ProductClass
from moleflow.config.registry import choose
from moleflow.files.params_file import write_products
from moleflow.files.paths import Paths
from moleflow.protocols.scenarios import DATASETS, Dataset, ScenarioError, asked_products, scenario
from moleflow.report.tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("dataset", nargs="?", help="; ".join(DATASETS) + "; without one, all are listed")
    parser.add_argument("scenario", nargs="?", help="products per task: 1-1, 3-3, 14-1, 10-1x5, ...")
    parser.add_argument("--root", help="folder that holds the products' folders")
    parser.add_argument("--order", help="order of arrival, such as alphabetical or texture_first")
    parser.add_argument("--products", help="some products alone: names separated by commas, or a subset such as pilot3")


def run(arguments: argparse.Namespace) -> None:
    """Writes the products and prints what `dvc repro` will run, or lists the data sets.

    Args:
        arguments: dataset, scenario, root, order and products.

    Raises:
        ChoiceError: the data set is unknown.
        ScenarioError: the data set has no such scenario or order, or its folder is not given, or none of the products'
            images are there.
    """
    if arguments.dataset is None:
        print(Table(["data set", "what", "scenarios", "orders", "subsets"], _known()).markdown())
        return
    if arguments.scenario is None:
        data = choose(DATASETS, arguments.dataset, "data set")
        raise ScenarioError(f"say how many products a task has: {', '.join(data.scenarios)}")
    paths = Paths(Path())
    root = (
        None if arguments.root is None else str(Path(arguments.root).expanduser().absolute())
    )  # experiments are copies
    products = scenario(
        arguments.dataset, arguments.scenario, root=root, order=arguments.order, products=arguments.products
    )
    if DATASETS[arguments.dataset].folders:
        products = _there(
            products,
            asked_products(arguments.dataset, order=arguments.order, products=arguments.products),
            paths,
            DATASETS[arguments.dataset],
        )
    with planned(paths):
        for name in write_products(products, paths.params):
            print(f"warning: {name} goes, and with it its line in recalibrations", file=sys.stderr)
        missing = [product.path for product in products.values() if not (paths.root / product.path).is_dir()]
        if missing and arguments.root is not None:
            print(
                f"warning: {missing[0]} does not exist; --root is the folder that holds the products", file=sys.stderr
            )
        for task in dict.fromkeys(product.task for product in products.values()):
            print(f"{task}  {', '.join(name for name, product in products.items() if product.task == task)}")


def _known() -> list[list[str]]:
    """A line per data set."""
    return [
        [name, data.about, ", ".join(data.scenarios), ", ".join(data.orders), ", ".join(data.subsets)]
        for name, data in DATASETS.items()
    ]


def _there(products: dict[str, ProductClass], asked: list[str], paths: Paths, data: Dataset) -> dict[str, ProductClass]:
    """Leaves out, and names, products of a mixed data set whose images are not on this machine."""
    found = {
        product: line
        for product, line in products.items()
        if product not in data.folders or (paths.root / line.path).is_dir()
    }
    missing = [product for product in asked if product not in found]
    if not missing:
        return found
    said = (
        f"left out, since their folders do not exist: {', '.join(missing)}; "
        f"--root holds {', '.join(data.folders[product] for product in missing)}"
    )
    if not found:
        raise ScenarioError(f"no product remains; {said}")
    print(f"warning: {said}", file=sys.stderr)
    return found
