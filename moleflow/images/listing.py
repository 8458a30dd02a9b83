"""Which files of a folder are images."""

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
    found: list[Path] = []
    try:
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise ImageError(f"{folder} cannot be read ({error.strerror}); change its permissions") from error
    for path in inside:
        if not is_hidden(path):
            is_folder = path.is_dir()
            found += (
                [path] if not is_folder else [] if path.is_symlink() else list_files(path)
            )  # links may go in circles
    return found


def list_images(folder: Path) -> list[Path]:
    """Lists the image files of a folder and of the folders below it, hidden ones apart.

    Args:
        folder: the folder.

    Returns:
        Their paths, sorted; none if the folder does not exist.

    Raises:
        ImageError: a folder cannot be read.
    """
    return [path for path in list_files(folder) if path.suffix.lower() in image_suffixes()]
