"""Changing params.yaml with its comments kept."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from moleflow.config.params import ParamsError
from moleflow.config.products import ProductClass, load_products
from moleflow.files.artifacts import write_text


def write_products(products: dict[str, ProductClass], path: Path) -> list[str]:
    """Replaces `classes`, `first_task` and `later_tasks`; what a product's line set for it alone stays with it.

    Args:
        products: product to its line, in order of arrival.
        path: the file.

    Returns:
        The products that go, and take their line in `recalibrations` along.

    Raises:
        ParamsError: the file as it stands is wrong.
    """
    before = load_products(path)
    own = {name: line.overrides for name, line in before.classes.items()}
    lines = {name: _flow(line.model_dump(exclude_none=True) | own.get(name, {})) for name, line in products.items()}
    tasks = list(dict.fromkeys(line.task for line in products.values()))
    changes = {"classes": CommentedMap(lines), "first_task": tasks[0], "later_tasks": tasks[1:]}
    gone = [name for name in before.recalibrations if name not in products]
    if gone:
        kept = {name: folder for name, folder in before.recalibrations.items() if name in products}
        changes["recalibrations"] = CommentedMap(kept)
    write_params(changes, path)
    return gone


def put_product(name: str, line: ProductClass, path: Path) -> None:
    """Adds a product's line, or replaces it where it stands; its task comes last in `later_tasks` unless it is listed.

    Args:
        name: the product.
        line: its line.
        path: the file.

    Raises:
        ParamsError: the file as it stands is wrong.
    """
    content, write = _opened(path)
    classes, later = content["classes"], content["later_tasks"]
    last, former = list(classes)[-1], classes.get(name, {}).get("task")
    classes[name] = _flow(line.model_dump(exclude_none=True))
    if last != name:
        _move_comment(classes, last, list(classes)[-1])
    if line.task not in (content["first_task"], *later):
        later.append(line.task)
        _move_comment(later, len(later) - 2, len(later) - 1)
    _drop_task(content, former)
    write()


def set_recalibration(name: str, folder: str | None, path: Path) -> None:
    """Lists a folder of normal images that a product is calibrated anew by.

    Args:
        name: the product.
        folder: the folder; None to take it off the list.
        path: the file.

    Raises:
        ParamsError: the file as it stands is wrong, or lists no such product.
    """
    content, write = _opened(path)
    require_product(name, list(content["classes"]), path)
    if folder is None:
        content["recalibrations"].pop(name, None)
    else:
        content["recalibrations"][name] = folder
    write()


def remove_product(name: str, path: Path) -> None:
    """Removes a product's line, and its task if no other product has it; the next task may become the first.

    Args:
        name: the product.
        path: the file.

    Raises:
        ParamsError: the file as it stands is wrong, or lists no such product, or no other.
    """
    content, write = _opened(path)
    classes = content["classes"]
    require_other_products(name, list(classes), path)
    names = list(classes)
    before = names[names.index(name) - 1] if name != names[0] else None
    if before is not None:
        _move_comment(classes, name, before)
    task = classes.pop(name)["task"]
    content["recalibrations"].pop(name, None)
    _drop_task(content, task)
    write()


def require_product(name: str, listed: list[str], path: Path) -> None:
    """Refuses a product that is not there.

    Args:
        name: the product.
        listed: all products.
        path: params.yaml, for the message.

    Raises:
        ParamsError: there is no such product.
    """
    if name not in listed:
        raise ParamsError(f"{path} lists no product {name}, only {', '.join(listed)}")


def require_other_products(name: str, listed: list[str], path: Path) -> None:
    """Refuses to take a product away that is not there, or the only one.

    Args:
        name: the product.
        listed: all products.
        path: params.yaml, for the message.

    Raises:
        ParamsError: there is no such product, or no other.
    """
    require_product(name, listed, path)
    if len(listed) == 1:
        raise ParamsError(f"{path}: {name} is the only product, and without one there is nothing to do; add another")


def _drop_task(content: Any, task: str | None) -> None:
    """Takes a task away that no product has any more."""
    if task is None or task in [line["task"] for line in content["classes"].values()]:
        return
    later = content["later_tasks"]
    if task == content["first_task"]:
        content["first_task"] = later[0]
        task = later[0]
    place = later.index(task)
    if place:
        _move_comment(later, place, place - 1)
    later.pop(place)


def _move_comment(collection: Any, old: Any, new: Any) -> None:
    """What follows an entry on lines of its own belongs to what comes next: it stays there if the entry goes or moves.

    ruamel keeps it with the entry before it, together with a comment on the entry's own line, which moves along.
    """
    comments = collection.ca.items
    if old in comments and new not in comments:
        comments[new] = comments.pop(old)


def write_params(changes: dict[str, Any], path: Path) -> None:
    """Replaces values of keys that params.yaml has; comments and all other lines stay.

    Args:
        changes: new value by key.
        path: the file.

    Raises:
        ParamsError: the file as it stands is wrong, or lacks one of the keys.
    """
    content, write = _opened(path)
    missing = [key for key in changes if key not in content]
    if missing:
        raise ParamsError(
            f"{path}: the keys {', '.join(missing)} are missing; `dvc repro check` says which keys there are now"
        )
    for key, value in changes.items():
        if isinstance(value, list) and isinstance(content[key], list):
            content[key][:] = value  # a new list would lose the comment of one that DVC wrote as a block
        else:
            content[key] = value
    write()


def _opened(path: Path) -> tuple[Any, Callable[[], None]]:
    """The content of a valid file with its comments, and what writes it back with the file's ends of lines."""
    load_products(path)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    first, _, _ = path.read_bytes().partition(b"\n")
    end = "\r\n" if first.endswith(b"\r") else "\n"
    content = yaml.load(path.read_text(encoding="utf-8"))

    def write() -> None:
        text = io.StringIO()
        yaml.dump(content, text)
        write_text(path, text.getvalue().replace("\n", end))

    return content, write


def _flow(value: dict[str, Any]) -> Any:
    flow: Any = CommentedMap(value)
    flow.fa.set_flow_style()
    return flow
