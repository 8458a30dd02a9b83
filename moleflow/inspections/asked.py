"""Which images a command is asked for: files, folders, patterns, or names on the standard input."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from glob import glob, has_magic
from io import TextIOWrapper
from pathlib import Path

from moleflow.config.errors import MoleflowError
from moleflow.images.decoding import ImageError, frames
from moleflow.images.listing import Listed, beside_images

STDIN = "-"
PAGED = {".gif", ".tif", ".tiff"}  # suffixes of files that often hold several pictures; others are not opened to count


class AskedError(MoleflowError):
    """No image is named."""


def asked_images(names: Iterable[str], lines: Iterable[str]) -> list[Path]:
    """The images that names stand for, each once.

    A folder stands for all images in it and below it, a pattern (`*`, `?`, `[…]`, `**`) for what it matches. Whatever
    else is named counts as an image even if there is no such file: that is said of it later, beside what is said of the
    others. What is left out is said on the standard error.

    Args:
        names: of files and folders, patterns, or `STDIN` for a name in every line, which is no pattern.
        lines: of the standard input.

    Returns:
        Paths, in the order in which they are named.

    Raises:
        AskedError: there is none, or a folder holds none or a pattern matches none.
        ImageError: a folder cannot be read.
    """
    if isinstance(lines, TextIOWrapper):
        lines.reconfigure(errors="surrogateescape")  # names of files may be no text
    parts = [part for name in names for part in _parts(name, lines)]
    found = [image for part in parts for image in part.images]
    if not found:
        raise AskedError("no image is named; name files, folders or patterns, or - for names on the standard input")
    images = list({os.path.abspath(path): path for path in reversed(found)}.values())[::-1]
    for note in beside_images(parts) + _several_pictures(images):
        print(f"note: {note}", file=sys.stderr)
    return images


def _parts(name: str, lines: Iterable[str]) -> list[Listed]:
    if name != STDIN:
        return _named(name, patterns=True)
    given = (line.rstrip("\r\n") for line in lines)
    return [part for each in given if each for part in _named(each, patterns=False)]


def _named(name: str, *, patterns: bool) -> list[Listed]:
    if not name:
        raise AskedError(
            "an image has an empty name, as of a variable that is not set; name files, folders or patterns"
        )
    path = Path(name)
    if os.path.isdir(path):
        parts = [Listed.of(path)]
        none = f"{name} holds no images"
    elif os.path.exists(path) or not patterns or not has_magic(name):
        return [Listed([path], [], [])]
    else:
        matched = sorted(Path(each) for each in glob(name, recursive=True))
        parts = [Listed.of(match) if os.path.isdir(match) else Listed([match], [], []) for match in matched]
        none = f"nothing matches {name}"
    if not any(part.images for part in parts):
        raise AskedError("; ".join([none, *beside_images(parts)]))
    return parts


def _several_pictures(images: list[Path]) -> list[str]:
    several: dict[Path, int] = {}
    for image in (image for image in images if image.suffix.lower() in PAGED and os.path.isfile(image)):
        with suppress(ImageError):  # said when it is read
            several[image] = frames(image)
    several = {image: count for image, count in several.items() if count > 1}
    if not several:
        return []
    first, count = next(iter(several.items()))
    return [f"files of several pictures, of which the first is used: {len(several)}; {first} has {count}"]
