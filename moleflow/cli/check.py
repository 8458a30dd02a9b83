"""`moleflow check`: what stages check and index refuse, all of it at once, and what there is of every product."""

import argparse
from pathlib import Path
from typing import Any

from moleflow.calibration.needs import alarm_needs
from moleflow.config.errors import MoleflowError
from moleflow.config.params import ParamsError, mistakes, read_params
from moleflow.config.products import ProductClass, Products
from moleflow.datasets.feedback import feedback_mistakes
from moleflow.datasets.index import Index, build_index
from moleflow.datasets.layouts import LAYOUTS
from moleflow.datasets.overview import Overview
from moleflow.files.paths import Paths
from moleflow.files.tracked import is_made_by_dvc, travels
from moleflow.learning.training_images import crosses
from moleflow.protocols.resolutions import coarser_view, finer_view
from moleflow.routing.rejection import rejection_needs
from moleflow.scoring.scores import SCORES
from stages.index import IndexConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("folder", nargs="?", help="a product's folder, listed or not; default: all products listed")
    parser.add_argument("--layout", help="of the folder, such as mvtec; docs/data.md lists them")


def run(arguments: argparse.Namespace) -> None:
    """Prints what was found product by product.

    Args:
        arguments: folder and layout.

    Raises:
        ParamsError: params.yaml cannot be read, or a folder is given without its layout or the other way round.
        MoleflowError: all that is wrong.
    """
    from stages.check import listed_products, region_mistakes
    from stages.params_mistakes import all_mistakes  # takes a second to import, because of the backbones

    paths = Paths(Path())
    content = read_params(paths.params)
    if (arguments.folder is None) != (arguments.layout is None):
        raise ParamsError("a folder and its layout go together, as in: moleflow check /data/bottle --layout mvtec")
    if arguments.folder is not None:
        given = {"task": content.get("first_task"), "layout": arguments.layout, "path": arguments.folder}
        content |= {"classes": {"folder": given}, "later_tasks": [], "recalibrations": {}}
    later = arguments.folder is not None  # a new product would come after those that are listed
    wrong = [f"{paths.params}: {mistake}" for mistake in all_mistakes(content)]
    if arguments.folder is None:
        wrong += region_mistakes(paths, content) + feedback_mistakes(paths.feedback, listed_products(content))
    sides: dict[str, int] = {}
    if not mistakes(Products, content) and not mistakes(IndexConfig, content):
        products = Products(**{key: content[key] for key in Products.model_fields})
        for product, line in products.classes.items():
            name = product if arguments.folder is None else Path(arguments.folder).resolve().name
            may_cross = later or line.task != products.first_task
            own = content | line.overrides
            # What is labeled as of the folder's name may be another product's.
            feedback = paths.feedback / name if arguments.folder is None else None
            seen, mistaken = check_product(
                paths, name, line, own, feedback=feedback, whole=not wrong, may_cross=may_cross
            )
            wrong += mistaken
            sides |= {name: seen.side} if seen else {}
    if wrong:
        raise MoleflowError(f"{len(wrong)} mistakes:\n" + "\n".join(wrong) if len(wrong) > 1 else wrong[0])
    view = view_of(content)
    proposed = finer_view(sides, view) or coarser_view(sides, view)
    if proposed:
        print(f"note: {proposed}")


def view_of(content: dict[str, Any]) -> int:
    """Side of what the backbone sees of an image, in pixels.

    Args:
        content: value by key of params.yaml, without mistakes.

    Returns:
        The side, of all tiles together.
    """
    from moleflow.backbones.backbone import seen_side  # takes a second to import

    return seen_side(content["backbone"], content["layers"], content["img_size"], content["tiles"])


def check_product(
    paths: Paths,
    product: str,
    line: ProductClass,
    content: dict[str, Any],
    *,
    feedback: Path | None,
    whole: bool,
    may_cross: bool,
) -> tuple[Overview | None, list[str]]:
    """Prints what there is of a product.

    Args:
        paths: the repository's paths.
        product: its name.
        line: its line.
        content: value by key of params.yaml, the line's own included.
        feedback: folder of the images that were labeled as the product's; None to look at none.
        whole: whether all of params.yaml is right.
        may_cross: whether it is of a later task, whose images `calibration: cross` could all compare with.

    Returns:
        What there is, None if that cannot be told, and what is wrong.
    """
    folder = paths.root / line.path
    if line.layout not in LAYOUTS or mistakes(IndexConfig, content):
        return None, []  # already told
    if not folder.is_dir():
        if not is_made_by_dvc(line.path, paths.root):
            return None, [f"{product}: {line.path} does not exist"]
        print(f"{product}\n  {line.path} is not there yet; `dvc repro demo` or `dvc checkout` makes it")
        return None, []
    try:
        seen = index_of(paths, line, content, feedback).overview
    except MoleflowError as error:
        return None, [str(error)]
    print(f"{product}\n{seen}")
    if whole:
        _print_needs(seen, content, may_cross=may_cross)
    if not travels(line.path, paths.root):
        print(
            f"  note: neither Git nor DVC tracks {line.path}: experiments with --queue or --temp run in a copy of the "
            f"repository that lacks it; write {folder.absolute()}"
        )
    return seen, []


def index_of(paths: Paths, line: ProductClass, content: dict[str, Any], feedback: Path | None) -> Index:
    """A product's index, as the stage would make it.

    Args:
        paths: the repository's paths.
        line: its line.
        content: value by key of params.yaml, the line's own included.
        feedback: folder of the images that were labeled as the product's; None to look at none.

    Returns:
        The index.

    Raises:
        MoleflowError: what the stage refuses.
    """
    settings = IndexConfig(**{key: content[key] for key in IndexConfig.model_fields})
    return build_index(paths.root / line.path, layout=line.layout, feedback=feedback, **settings.model_dump())


def _print_needs(seen: Overview, content: dict[str, Any], *, may_cross: bool) -> None:
    """How many images the rates need; of a task's products that share an expert, each is taken as if it were alone."""
    normal = seen.train + seen.calibration
    score = SCORES.get(content["score"])  # one that the probe will choose may leave out or not
    every = score is not None and score.leaves_out
    every = every or (may_cross and crosses(content["calibration"], seen.calibration))
    compared = normal if every and not content["suspects"] else seen.calibration
    kinds = len(content["probe_perturbations"]) if content["alarm_for"] == "shifted" else 0
    if kinds:
        compared = min(seen.calibration, kinds * content["probe_images"])
    rate = content["alarm_rate"]
    fraction = seen.calibration_fraction
    needs = alarm_needs(rate, compared, normal, fraction=fraction, may_cross=may_cross, kinds=kinds)
    trained = seen.train - round(content["suspects"] * seen.train)
    print(f"  alarm_rate: {needs}\n  reject_rate: {rejection_needs(trained, content['reject_rate'])}")
