"""Files that are written whole or not at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moleflow.config.errors import MoleflowError
from moleflow.files.paths import Paths

FORMAT = 2  # of what the stages write; raised whenever other code could misread it
LONGEST = 200  # bytes of a name that leftovers of a kill show; file systems take 255, and marks stand around it


class ArtifactError(MoleflowError):
    """An artifact is missing, unreadable or does not belong to the artifacts beside it."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` (file or folder) and puts it in place once all is written.

    An exception or a kill leaves `path` as it was. A file replaces the old one in one step. What has a folder on
    either side cannot: the old one is set aside first, and a kill right then leaves `path` missing until the next
    start of `written_whole` restores it. DVC and git ignore both leftovers by their names. A file never replaces a
    folder, whose content would be lost.

    Args:
        path: the file or folder to write.

    Yields:
        The temporary path, which does not exist yet.

    Raises:
        ArtifactError: a file was written, and `path` is a folder.
    """
    partial, replaced = (path.with_name(f".{_shown(path.name)}.{state}") for state in ("partial", "replaced"))
    path.parent.mkdir(parents=True, exist_ok=True)
    _settle(path, partial, replaced)
    try:
        yield partial
        if partial.is_file() and _is_folder(path):
            raise ArtifactError(f"{path} is a folder, which no file may replace; move it elsewhere")
        if os.path.lexists(path) and (_is_folder(partial) or _is_folder(path)):
            os.rename(path, replaced)
        os.replace(partial, path)
    finally:
        _settle(path, partial, replaced)


def _shown(name: str) -> str:
    return name if len(os.fsencode(name)) <= LONGEST else hashlib.sha256(os.fsencode(name)).hexdigest()


def _settle(path: Path, partial: Path, replaced: Path) -> None:
    """Restores the artifact set aside if nothing took its place, and removes all leftovers."""
    _remove(partial)
    if os.path.lexists(replaced):
        # It is renamed before it is removed: were it half removed under this name, a later start could restore it.
        os.rename(replaced, partial if os.path.lexists(path) else path)
        _remove(partial)


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def require_file(path: Path, command: str = "dvc repro") -> None:
    """Refuses to go on without a file.

    Args:
        path: the file.
        command: what makes it, for the error.

    Raises:
        ArtifactError: it does not exist.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; `{command}` makes it")


def require_writable(path: Path) -> None:
    """Refuses a place where no file can be written, before there is anything to lose.

    Args:
        path: the file to be, which may exist; so may the folders above it.

    Raises:
        ArtifactError: it is a folder, lies below a file, or in a folder that does not let anybody write into it.
    """
    if os.path.isdir(path):
        raise ArtifactError(f"{path} is a folder; choose the name of a file")
    above = next(each for each in path.absolute().parents if os.path.lexists(each))
    if not os.path.isdir(above):
        raise ArtifactError(f"{path} cannot be written: {above} is no folder; choose another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ArtifactError(f"{path} cannot be written: {above} is closed to you; change its permissions")


def require_format(path: Path, found: Any, expected: Any) -> None:
    """Refuses a file of another kind, and one that another version of moleflow wrote in another form.

    Args:
        path: the file.
        found: the format that it says it has; None if it says nothing.
        expected: the format that it must have.

    Raises:
        ArtifactError: they differ.
    """
    if found != expected:
        raise ArtifactError(
            f"{path} has the format {found!r} instead of {expected!r}: another file, or one of another version of "
            "moleflow; delete it and run `dvc repro`"
        )


def made_by(paths: Paths, product: str, task: str, *, prototype: str) -> dict[str, str]:
    """What judges a product's images now, as a file made with it says of itself.

    Args:
        paths: the repository's paths.
        product: the product.
        task: its task.
        prototype: SHA-256 of its prototype's file; the router knows that of the one that it routes by.

    Returns:
        SHA-256 of the files: base_digest, expert_digest and prototype_digest.

    Raises:
        ArtifactError: the base or the expert does not exist.
    """
    base, expert = digest(paths.base), digest(paths.expert_of(product, task))
    return {"base_digest": base, "expert_digest": expert, "prototype_digest": prototype}


def require_made_by(path: Path, attributes: Mapping[str, Any], current: Mapping[str, str]) -> None:
    """Refuses a file that was made with other artifacts than those beside it.

    Args:
        path: the file.
        attributes: what it says of itself.
        current: what `made_by` says now.

    Raises:
        ArtifactError: one differs.
    """
    for key, expected in current.items():
        if attributes.get(key) != expected:
            part = key.removesuffix("_digest")
            raise ArtifactError(f"{path} was made with another {part} than the current one; run `dvc repro`")


def read_json(path: Path, command: str = "dvc repro") -> Any:
    """Reads a JSON file.

    Args:
        path: the file.
        command: what makes it, for the errors.

    Returns:
        Its content.

    Raises:
        ArtifactError: it does not exist, or is not JSON, as after a merge that left conflict marks in it.
    """
    require_file(path, command)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} is not JSON ({error}); delete it and run `{command}`") from error


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all.

    Args:
        path: the file.
        text: its content, written as UTF-8.
    """
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON, whole or not at all; keys keep their order.

    Args:
        path: the file.
        content: anything that JSON can hold.

    Raises:
        ValueError: it holds NaN or infinity.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Args:
        path: the file.

    Returns:
        64 hexadecimal digits.

    Raises:
        ArtifactError: it does not exist.
    """
    require_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
