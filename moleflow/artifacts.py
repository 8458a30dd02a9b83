"""Files that are written whole or not at all, and safetensors with metadata."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


class ArtifactError(ValueError):
    """An artifact is missing, unreadable or does not belong to the artifacts beside it."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` (file or folder) and renames it once all is written.

    An exception or a kill leaves `path` as it was; DVC and git ignore the leftover by its name.
    """
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        _remove(path)
        os.replace(partial, path)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` whole."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON; keys keep their order, NaN is an error."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Writes tensors and their constructor arguments as one safetensors file.

    The same content gives the same bytes: names are sorted and the metadata is one JSON string
    with sorted keys (safetensors keeps its own header entries in no fixed order).
    """
    content = save(
        {name: tensors[name].detach().contiguous() for name in sorted(tensors)},
        {"moleflow": json.dumps(metadata, sort_keys=True)},
    )
    with written_whole(path) as partial:
        partial.write_bytes(content)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_tensors` wrote.

    Returns:
        The tensors by name, and the metadata.

    Raises:
        ArtifactError: the file is missing or was not written by `save_tensors`.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; `dvc repro` makes it")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = (file.metadata() or {}).get("moleflow")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); delete it and run `dvc repro`") from error
    if metadata is None:
        raise ArtifactError(f"{path} was not written by moleflow; delete it and run `dvc repro`")
    return tensors, json.loads(metadata)
