"""check: refuses a wrong params.yaml before anything is computed, and writes the part that each stage reads."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from moleflow.config.errors import told_plainly
from moleflow.config.params import ParamsError, mistakes, read_params
from moleflow.config.products import Products
from moleflow.datasets.feedback import feedback_mistakes, feedback_samples
from moleflow.files.artifacts import digest, written_whole
from moleflow.files.order import PER_PRODUCT, Order
from moleflow.files.paths import Paths
from moleflow.files.tracked import is_copy, is_made_by_dvc
from moleflow.images.decoding import ImageError
from moleflow.images.listing import is_hidden
from moleflow.images.reading import read_mask
from stages.params_mistakes import all_mistakes, keys_read


@told_plainly
def main() -> None:
    """Writes data/check; see `write_check`.

    Raises:
        ParamsError: a product's images are not in the copy of the repository that an experiment runs in.
    """
    paths = Paths(Path())
    missing = _missing(paths) if is_copy(paths.root) else []
    if missing:
        raise ParamsError(
            f"{', '.join(missing)}: not in the copy of the repository that this experiment runs in, since neither "
            "Git nor DVC tracks it; write an absolute path, or run the experiment without --queue and --temp"
        )
    write_check(paths)


def write_check(paths: Paths) -> None:
    """Writes the part of params.yaml that each stage reads, so that it depends on nothing else of the file.

    data/check/ok is there if params.yaml is valid, and never changes; order.json names tasks and products in order of
    arrival; tasks/<task>.json a task's products and the keys that learning it reads; products/<product>/<stage>.json
    the keys that a stage of one product reads, with the values that the product sets for itself, for score the digest
    of its region of interest, and for index those of the images that were labeled later.

    Args:
        paths: the repository's paths.

    Raises:
        ParamsError: a key, a name or a combination is wrong; lists all mistakes.
    """
    content = read_params(paths.params)
    wrong = all_mistakes(content) + region_mistakes(paths, content)
    wrong += feedback_mistakes(paths.feedback, listed_products(content))
    if len(wrong) == 1:
        raise ParamsError(f"{paths.params}: {wrong[0]}")
    if wrong:
        lines = "\n".join(f"  {mistake}" for mistake in wrong)
        raise ParamsError(f"{paths.params} has {len(wrong)} mistakes:\n{lines}")
    write_resolved(paths, content)


def region_mistakes(paths: Paths, content: dict[str, Any]) -> list[str]:
    """Lists regions of interest that belong to no product, cannot be read, leave nothing or do not turn with images.

    Args:
        paths: the repository's paths.
        content: value by key of params.yaml.

    Returns:
        One sentence each; none if all is well.
    """
    listed = {paths.regions.of(product) for product in listed_products(content)}
    found = sorted(paths.regions.path.iterdir()) if paths.regions.path.is_dir() else []
    wrong = []
    for path in (path for path in found if not is_hidden(path)):
        if path not in listed:
            wrong.append(f"{path} is the region of no product that is listed; move it elsewhere, or name it like one")
            continue
        if content.get("orient", "none") != "none":
            wrong.append(
                f"orient: {content['orient']} turns images, but {path} is drawn over one as it is; "
                "set orient: none, or remove the file"
            )
        if path.is_dir():
            wrong.append(f"{path} is a folder; put the mask itself in its place, a file")
            continue
        try:
            if not np.asarray(read_mask(path)).any():
                wrong.append(f"{path} marks nothing; mark the part of the images that counts, or remove the file")
        except ImageError as error:
            wrong.append(str(error))
    return wrong


def listed_products(content: dict[str, Any]) -> dict[str, Any]:
    """The products' lines as they stand.

    Args:
        content: value by key of params.yaml.

    Returns:
        Lines by product; none where classes is wrong, which is told otherwise.
    """
    classes = content.get("classes")
    return classes if isinstance(classes, dict) else {}


def _missing(paths: Paths) -> list[str]:
    """Paths of products that are not there and that nothing makes."""
    content = read_params(paths.params)
    lines = content["classes"] if not mistakes(Products, content) else {}
    return [
        f"classes.{product}.path: {line['path']}"
        for product, line in lines.items()
        if not (paths.root / line["path"]).exists() and not is_made_by_dvc(line["path"], paths.root)
    ]


def write_resolved(paths: Paths, content: dict[str, Any]) -> None:
    """Writes data/check from valid values: the second half of `write_check`.

    Args:
        paths: the repository's paths.
        content: value by key of params.yaml, all of them valid.
    """
    products = Products(**{key: content[key] for key in Products.model_fields})
    order = Order.of(products.tasks, {product: line.task for product, line in products.classes.items()})
    texts = {paths.check / "ok": "ok\n", paths.order: order.text()}
    for task in order.tasks:
        keys = _keys("base" if task == products.first_task else "train", content)
        texts[paths.task_params(task)] = _json({"products": order.of_task(task), **keys})
    for product in order.products:
        line = products.classes[product]
        settled = content | line.overrides
        texts |= {paths.product_params(product, stage): _json(_keys(stage, settled)) for stage in PER_PRODUCT}
        if product in products.recalibrations:
            anew = {"folder": products.recalibrations[product], "task": line.task, **_keys("recalibrate", settled)}
            texts[paths.product_params(product, "recalibrate")] = _json(anew)
        region = paths.regions.of(product)
        score = {**_keys("score", settled), "region": digest(region) if region.exists() else None}
        texts[paths.product_params(product, "score")] = _json(score)
        index = {"layout": line.layout, "path": line.path, **_keys("index", settled)}
        labeled = [sample.path for sample in feedback_samples(paths.feedback / product)]
        if labeled:
            index["feedback"] = {str(path.relative_to(paths.feedback)): digest(path) for path in labeled}
        texts[paths.product_params(product, "index")] = _json(index)
    with written_whole(paths.check) as partial:
        for path, text in texts.items():
            target = partial / path.relative_to(paths.check)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


def _keys(stage: str, content: dict[str, Any]) -> dict[str, Any]:
    """What a stage reads."""
    return {key: content[key] for key in sorted(keys_read(stage))}


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
