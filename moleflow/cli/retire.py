"""`moleflow retire`: a product's line and what data/ holds of it go; its images stay, DVC's cache keeps the rest."""

import argparse
from pathlib import Path

from moleflow.cli.change import all_or_nothing, product_digests, proof
from moleflow.config.params import Config, ParamsError, load_params
from moleflow.config.products import load_products
from moleflow.files.params_file import remove_product, require_other_products
from moleflow.files.paths import Paths


class RetireConfig(Config):
    """What the command reads of params.yaml, besides the products."""

    expert_per: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("name", help="of the product")
    parser.add_argument(
        "--retrain", action="store_true", help="also if what others are judged by must then be learned again"
    )


def run(arguments: argparse.Namespace) -> None:
    """Retires the product; if anything fails, all is as before.

    Args:
        arguments: name and retrain.

    Raises:
        ParamsError: there is no such product, others' experts would have to be learned again, or a key is missing.
        ChangeError: `dvc repro` failed.
    """
    paths, name = Paths(Path()), arguments.name
    products = load_products(paths.params)
    require_other_products(name, list(products.classes), paths.params)
    for kept in (paths.regions.of(name), paths.feedback / name, paths.feedback / f"{name}.dvc"):
        if kept.exists():
            raise ParamsError(f"{kept} belongs to {name}; move it elsewhere or remove it first")
    if not arguments.retrain:
        task = products.classes[name].task
        others = [other for other, line in products.classes.items() if line.task == task and other != name]
        if task == products.first_task:
            raise ParamsError(f"the base was learned with {name}; without it all is learned again: add --retrain")
        if others and load_params(RetireConfig, paths.params).expert_per == "task":
            raise ParamsError(f"{', '.join(others)} shares its expert, which is then learned again: add --retrain")
    before = product_digests(paths)
    with all_or_nothing(paths) as change:
        remove_product(name, paths.params)
        change.repro()
    print(f"\n{proof(before, product_digests(paths))}")
