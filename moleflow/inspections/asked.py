"""Which images a command is asked for: files, folders, patterns, or names on the standard input."""

import os
from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

from moleflow.config.errors import MoleflowError
from moleflow.images.listing import list_images

STDIN = "-"


class AskedError(MoleflowError):
    """No image is named."""


def asked_images(names: Iterable[str], lines: Iterable[str]) -> list[Path]:
    """The images that names stand for, each once.

    A folder stands for all images in it and below it, a pattern (`*`, `?`, `[…]`, `**`) for what it matches. Whatever
    else is named counts as an image even if there is no such file: that is said of it later, beside what is said of the
    others.

    Args:
        names: of files and folders, patterns, or `STDIN` for a name in every line, which is no pattern.
        lines: of the standard input.

    Returns:
        Paths, in the order in which they are named.

    Raises:
        AskedError: there is none, or a folder holds none or a pattern matches none.
    """
    found: list[Path] = []
    for name in names:
        if name == STDIN:
            given = (line.rstrip("\r\n") for line in lines)
            found += [image for each in given if each for image in _named(each, patterns=False)]
        else:
            found += _named(name, patterns=True)
    if not found:
        raise AskedError("no image is named; name files, folders or patterns, or - for names on the standard input")
    return list({os.path.abspath(path): path for path in reversed(found)}.values())[::-1]


def _named(name: str, *, patterns: bool) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        images = list_images(path)
        if not images:
            raise AskedError(f"{name} holds no images")
        return images
    if path.exists() or not patterns or not has_magic(name):
        return [path]
    matched = sorted(Path(each) for each in glob(name, recursive=True))
    images = [image for match in matched for image in (list_images(match) if match.is_dir() else [match])]
    if not images:
        raise AskedError(f"nothing matches {name}")
    return images
