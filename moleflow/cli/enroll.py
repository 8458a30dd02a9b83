"""`moleflow enroll`: a product's images are checked, its lines written, its expert learned, and its card printed."""

import argparse
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from moleflow.cli import card
from moleflow.cli.change import all_or_nothing, path_to_list, product_digests, proof
from moleflow.cli.check import check_product, view_of
from moleflow.cli.plan import refresh_check
from moleflow.config.errors import MoleflowError
from moleflow.config.params import ParamsError, read_params
from moleflow.config.products import ProductClass, ProductName
from moleflow.datasets.layouts import LAYOUTS
from moleflow.files.params_file import put_product
from moleflow.files.paths import Paths
from moleflow.protocols.resolutions import finer_view


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("name", help="of the product, and of its task")
    parser.add_argument("folder", type=Path, help="its images")
    parser.add_argument("--layout", choices=LAYOUTS, default="mvtec", help="of the folder; default: mvtec")
    parser.add_argument("--alarm-rate", type=float, help="its own tolerated share of false alarms")


def run(arguments: argparse.Namespace) -> None:
    """Enrolls the product; if anything fails, all is as before.

    Args:
        arguments: name, folder, layout and alarm_rate.

    Raises:
        ParamsError: the name is none, or is taken, or the rate is none.
        MoleflowError: something is wrong with the images, or `dvc repro` failed.
    """
    paths, name = Paths(Path()), arguments.name
    refresh_check(paths)  # refuses a wrong params.yaml
    content, line = read_params(paths.params), _line(name, arguments)
    _require_free(name, content)
    own, feedback = content | line.overrides, paths.feedback / name
    seen, wrong = check_product(paths, name, line, own, feedback=feedback, whole=True, may_cross=True)
    if wrong:
        raise MoleflowError("\n".join(wrong))
    proposed = finer_view({name: seen.side} if seen else {}, view_of(content))
    if proposed:
        print(f"note: {proposed}")
    before = product_digests(paths)
    with all_or_nothing(paths) as change:
        _require_free(name, read_params(paths.params))  # somebody else may have been faster
        put_product(name, line, paths.params)
        change.repro()
    print(f"\n{proof(before, product_digests(paths))}\n")
    card.run(argparse.Namespace(name=name))


def _require_free(name: str, content: dict[str, Any]) -> None:
    if name in content["classes"] or name in (content["first_task"], *content["later_tasks"]):
        raise ParamsError(f"{name} is the name of a product or task already; choose another")


def _line(name: str, arguments: argparse.Namespace) -> ProductClass:
    try:
        TypeAdapter(ProductName).validate_python(name)
        return ProductClass(
            task=name, layout=arguments.layout, path=path_to_list(arguments.folder), alarm_rate=arguments.alarm_rate
        )
    except ValidationError as error:
        found = error.errors()[0]
        key = "--alarm-rate" if "alarm_rate" in found["loc"] else f"name {name!r}"
        raise ParamsError(f"{key}: {found['msg']}") from error
