"""Which files of a folder are images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from moleflow.images.decoding import ImageError

# Pillow opens these, but needs another program to decode them.
UNDECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}  # what systems leave in folders, beside hidden files


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in lower case, of the files that can be read as images."""
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in Image.OPEN and kind not in UNDECODED)


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden, or one that a system leaves in folders.

    Args:
        path: its path; only its name counts.

    Returns:
        True if nobody would look for images there.
    """
    return path.name.startswith(".") or path.name.casefold() in SYSTEM_FILES


def list_files(folder: Path) -> list[Path]:
    """Lists the files of a folder and of the folders below it, hidden ones apart.

    Args:
        folder: the folder.

    Returns:
        Their paths, sorted; none if the folder does not exist. Folders that are links are left out.

    Raises:
        ImageError: a folder cannot be read.
    """
    return _inside(folder)[0]


def list_images(folder: Path) -> list[Path]:
    """Lists the image files of a folder and of the folders below it, hidden ones apart.

    Args:
        folder: the folder.

    Returns:
        Their paths, sorted; none if the folder does not exist.

    Raises:
        ImageError: a folder cannot be read.
    """
    return Listed.of(folder).images


@dataclass(frozen=True)
class Listed:
    """What lies in a folder and in the folders below it, hidden files and folders apart.

    Attributes:
        images: files that are images by their suffix.
        others: all other files.
        links: folders that are links, which nobody looked into.
    """

    images: list[Path]
    others: list[Path]
    links: list[Path]

    @classmethod
    def of(cls, folder: Path) -> "Listed":
        """Lists a folder.

        Args:
            folder: the folder.

        Returns:
            The paths, sorted; none if the folder does not exist.

        Raises:
            ImageError: a folder cannot be read.
        """
        files, links = _inside(folder)
        listed = cls([], [], links)
        for path in files:
            (listed.images if path.suffix.lower() in image_suffixes() else listed.others).append(path)
        return listed


def beside_images(parts: Sequence[Listed]) -> list[str]:
    """Says what lies in folders beside the images, and is left out.

    Args:
        parts: what was listed.

    Returns:
        A sentence on other files and one on links to folders, without a full stop; none where there are no such.
    """
    others, links = ([path for part in parts for path in getattr(part, kind)] for kind in ("others", "links"))
    notes = (
        [f"files left out, as their suffix is no image's: {len(others)}; the first is {others[0]}"] if others else []
    )
    if links:
        notes.append(f"links to folders left out: {len(links)}; the first is {links[0]}; name it to have its images")
    return notes


def _inside(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files in and below a folder, and folders there that are links."""
    try:
        found = sorted(folder.iterdir()) if os.path.isdir(folder) else []
    except OSError as error:
        raise ImageError(f"{folder} cannot be read ({error.strerror}); change its permissions") from error
    files: list[Path] = []
    links: list[Path] = []
    for path in (path for path in found if not is_hidden(path)):
        if not os.path.isdir(path):  # nor is it told of what cannot be looked at: that is said when it is read
            files.append(path)
        elif path.is_symlink():  # links may go in circles
            links.append(path)
        else:
            for whole, part in zip((files, links), _inside(path), strict=True):
                whole += part
    return files, links
