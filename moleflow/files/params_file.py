"""Changing params.yaml with its comments kept."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from moleflow.config.params import ParamsError
from moleflow.config.products import ProductClass, load_products
from moleflow.files.artifacts import write_text


def write_products(products: dict[str, ProductClass], path: Path) -> None:
    """Replaces `classes`, `first_task` and `later_tasks`.

    Args:
        products: product to its line, in order of arrival.
        path: the file.

    Raises:
        ParamsError: the file as it stands is wrong.
    """
    tasks = list(dict.fromkeys(line.task for line in products.values()))
    lines = {product: _flow(line.model_dump(exclude_none=True)) for product, line in products.items()}
    write_params({"classes": CommentedMap(lines), "first_task": tasks[0], "later_tasks": tasks[1:]}, path)


def write_params(changes: dict[str, Any], path: Path) -> None:
    """Replaces values of keys that params.yaml has; comments and all other lines stay.

    Args:
        changes: new value by key.
        path: the file.

    Raises:
        ParamsError: the file as it stands is wrong, or lacks one of the keys.
    """
    load_products(path)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    content = yaml.load(path)
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
    text = io.StringIO()
    yaml.dump(content, text)
    write_text(path, text.getvalue())


def _flow(value: dict[str, Any]) -> Any:
    flow: Any = CommentedMap(value)
    flow.fa.set_flow_style()
    return flow
