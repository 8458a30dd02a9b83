"""The products and tasks that params.yaml lists."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from moleflow.config.params import Config, OpenFraction, ParamsError, load_params

MAX_NAME = 200  # bytes; a file system takes 255, with what stands behind the names of files
RESERVED = ("unknown", "mean")  # what tables and predictions call an image of no product, and the mean over products


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} is no name of a product, since results use the word; choose another")
    return name


def _not_long(name: str) -> str:
    if len(name.encode()) > MAX_NAME:
        raise ValueError(f"{len(name.encode())} bytes are more than the {MAX_NAME} of a name; choose a shorter one")
    return name


# Letters of any script, digits, _ and -, which is not first: "." is a part of a key to DVC, "@" and "/" are its own.
Name = Annotated[str, Field(pattern=r"^\w[\w-]*$"), AfterValidator(_not_long)]
ProductName = Annotated[Name, AfterValidator(_not_reserved)]


class ProductClass(Config):
    """One line under `classes`.

    Every product has the first three keys; the others it may set for itself alone. None means that the value
    for all products, further down in params.yaml, holds for this one too.
    """

    task: Name
    layout: str
    path: str
    alarm_rate: OpenFraction | None = None
    bit_depth: Literal["auto"] | int | None = None
    duplicates: str | None = None
    unreadable: str | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        """The keys that this product sets for itself."""
        return self.model_dump(exclude={"task", "layout", "path"}, exclude_none=True)


class Products(Config):
    """The products and the order of their tasks."""

    classes: Annotated[dict[ProductName, ProductClass], Field(min_length=1)]
    first_task: str
    later_tasks: list[str]
    recalibrations: dict[ProductName, str]

    @property
    def tasks(self) -> list[str]:
        """All tasks, in order of arrival."""
        return [self.first_task, *self.later_tasks]


def load_products(path: Path) -> Products:
    """Reads the products and tasks.

    Args:
        path: params.yaml.

    Returns:
        What it lists, checked.

    Raises:
        ParamsError: as `load_params`, or a product's task is not listed, or a listed task has no product.
    """
    products = load_params(Products, path)
    wrong = task_mistakes(products)
    if wrong:
        raise ParamsError(f"{path}: " + "; ".join(wrong))
    return products


def path_mistakes(products: Products) -> list[str]:
    """Lists paths that only a shell expands, folders that are no product's own, and recalibrations of nothing.

    Args:
        products: products, each valid by itself.

    Returns:
        One sentence each, with the path to write instead; none if all is well.
    """
    wrong = []
    owners: dict[str, str] = {}
    for product, line in products.classes.items():
        folder = os.path.abspath(line.path)
        if Path.cwd().is_relative_to(folder):
            wrong.append(f"classes.{product}.path: {line.path!r} holds the repository; write the folder of its images")
        elif owners.setdefault(folder, product) != product:
            wrong.append(
                f"classes.{product}.path: {line.path!r} is the folder of {owners[folder]} too; correct it, or remove "
                "one of the two lines"
            )
        expanded = os.path.expanduser(os.path.expandvars(line.path))
        if expanded != line.path and not os.path.exists(line.path):
            wrong.append(
                f"classes.{product}.path: DVC does not expand {line.path!r}; write {os.path.abspath(expanded)}"
            )
    wrong += [
        f"recalibrations.{product}: there is no such product; remove the line"
        if product not in products.classes
        else f"recalibrations.{product}: {folder} is no folder; correct it, or remove the line"
        for product, folder in products.recalibrations.items()
        if product not in products.classes or not os.path.isdir(folder)
    ]
    return wrong


def task_mistakes(products: Products) -> list[str]:
    """Lists what is wrong with the order of the tasks.

    Args:
        products: products and tasks, each valid by itself.

    Returns:
        One sentence each; none if all is well.
    """
    listed, used = products.tasks, {line.task for line in products.classes.values()}
    wrong = [
        f"classes.{product}.task: {line.task!r} is not listed; add it to later_tasks {products.later_tasks}"
        for product, line in products.classes.items()
        if line.task not in listed
    ]
    if len(set(listed)) < len(listed):
        wrong.append(f"a task is listed twice in first_task and later_tasks: {listed}")
    empty = sorted(set(listed) - used)
    if empty:
        wrong.append(f"no product has task {empty}; remove it from later_tasks or add a product to it")
    return wrong
