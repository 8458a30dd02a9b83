"""What every layout returns for an image, and what the layouts share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from moleflow.config.errors import MoleflowError
from moleflow.images.listing import is_hidden, list_images

SEPARATORS = (b",", b";", b"\t")  # of a table; spreadsheets write semicolons where a comma is the decimal sign


class DatasetError(MoleflowError):
    """A data set is not as its layout expects; the message names the file and the way out."""


@dataclass(frozen=True)
class Sample:
    """One image of a product.

    Attributes:
        path: the image.
        split: "train" (normal images to learn from), "calibration" (normal images that the data set
            itself keeps apart), "test" or "feedback" (labeled later).
        label: 0 normal, 1 defective.
        defect: kind of defect, "good" for a normal image.
        mask: mask of the defect, or a folder of several that count together; None if it was not marked, or for a normal
            image.
    """

    path: Path
    split: str
    label: int
    defect: str
    mask: Path | None


@contextmanager
def permissions_told() -> Iterator[None]:
    """Turns what the system says of a folder or file without permission into one sentence; also a decorator.

    Raises:
        DatasetError: something cannot be read; names it.
    """
    try:
        yield
    except PermissionError as error:
        raise DatasetError(f"{error.filename} cannot be read ({error.strerror}); change its permissions") from error


def read_table(path: Path, columns: list[str], optional: tuple[str, ...] | None = ()) -> pd.DataFrame:
    """Reads a csv file of a data set, all values as text without surrounding blanks.

    Args:
        path: the file; its header says by which of `SEPARATORS` its values are separated.
        columns: those that it must have.
        optional: those that it may have; None for any.

    Returns:
        The table with all its columns, without those that have neither name nor values.

    Raises:
        DatasetError: it is no UTF-8 text so separated, has a line that is longer than its header, or lacks a column, or
            has it twice, or has an unknown one.
    """
    try:
        with path.open("rb") as file:
            separator = max(SEPARATORS, key=file.readline().count).decode()
        as_text = {"header": None, "dtype": str, "keep_default_na": False, "skipinitialspace": True}
        lines = pd.read_csv(path, sep=separator, **as_text)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); change its permissions") from error
    except ValueError as error:  # of pandas' parser and of the decoder alike
        reason = str(error).splitlines()[0]
        raise DatasetError(
            f"{path} is no UTF-8 text separated by commas, semicolons or tabs ({reason}); save it as that"
        ) from error
    lines = lines.fillna("").apply(lambda column: column.str.strip())
    names, known = lines.iloc[0].to_list(), [*columns, *(optional or ())]
    twice = [name for name in known if names.count(name) > 1]
    if twice:
        raise DatasetError(f"{path} has two columns {twice[0]}; remove or rename one")
    table = lines[1:].reset_index(drop=True).set_axis(names, axis=1)
    table = table.loc[:, table.any() | (table.columns != "")]
    lacking = [name for name in columns if name not in table]
    if lacking:
        has = ", ".join(table.columns)
        raise DatasetError(f"{path} lacks the column {lacking[0]}; it has {has}; expected are {', '.join(columns)}")
    unknown = [name for name in table if name not in known] if optional is not None else []
    if unknown and not unknown[0]:
        raise DatasetError(f"{path} has a column without a name; known are {', '.join(known)}; name or remove it")
    if unknown:
        raise DatasetError(
            f"{path} has the unknown column {unknown[0]}; known are {', '.join(known)}; rename or remove it"
        )
    return table


def below(root: Path, name: str) -> Path:
    """The file that a table names, whichever system wrote it.

    Args:
        root: the folder that the name is relative to.
        name: it may have backslashes for slashes, and an accent as a character of its own where the file has not.

    Returns:
        Its path, without detours; as it is written, if there is no such file.
    """
    slashes = name.replace("\\", "/")
    spelled = [name, slashes, normalize("NFC", slashes), normalize("NFD", slashes)]
    paths = [_inside(root, os.path.normpath(each)) for each in spelled]
    return next(filter(os.path.exists, paths), paths[0])


def _inside(root: Path, path: str) -> Path:
    """Of a path that leads out of the root too, so that what refuses it can say where it leads."""
    return Path(os.path.normpath(root / path)) if path.startswith("..") else root / path


@permissions_told()
def list_folders(root: Path, normal: str | None = None) -> list[Path]:
    """Lists the folders of test images; hidden ones do not count.

    Args:
        root: the folder test.
        normal: name of the one with normal images, where its case matters.

    Returns:
        The folders, sorted by name.

    Raises:
        DatasetError: a name differs from that of the normal images in its case only, or is good, which is no kind of
            defect; or a folder cannot be read.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path))
    for folder in folders:
        if normal and folder.name != normal and folder.name.casefold() in (normal, "good"):
            raise DatasetError(f"{folder} would count as a defect; rename it to {normal}")
    return folders


def normal_samples(images: list[Path], split: str) -> list[Sample]:
    """Makes samples of normal images.

    Args:
        images: the images.
        split: split of all of them.

    Returns:
        One sample per image.
    """
    return [Sample(path, split, 0, "good", None) for path in images]


def defective_samples(images: Path, masks: Path, defect: str) -> list[Sample]:
    """Makes samples of defective test images, each with the mask of its name if there is one.

    Args:
        images: folder of the images.
        masks: folder of the masks, which are named as their image, or with "_mask" behind the name, and lie in
            folders of the same names.
        defect: kind of defect.

    Returns:
        One sample per image.

    Raises:
        DatasetError: a mask has no image, or several, or an image has several masks.
    """
    names = {path: _name_below(images, path) for path in list_images(images)}
    by_name: dict[str, Path] = {}
    for path, name in _named_masks(masks, set(names.values())).items():
        if name in by_name:
            raise DatasetError(f"{by_name[name]} and {path} are masks of the same image; remove or rename one")
        by_name[name] = path
    stray = sorted(set(by_name) - set(names.values()))
    if stray:
        named = ", ".join(str(by_name[name]) for name in stray)
        raise DatasetError(f"{named} is a mask without an image of defect {defect}; add the image or remove the mask")
    require_one_image_each(names, by_name)
    return [Sample(path, "test", 1, defect, by_name.get(name)) for path, name in names.items()]


def _named_masks(folder: Path, images: set[str]) -> dict[Path, str]:
    """The image that each mask names, as it is or without "_mask"; which of both, all masks together say."""
    own = {path: _name_below(folder, path) for path in list_images(folder)}
    cut = {path: name.removesuffix("_mask") for path, name in own.items()}
    fitting = [each for each in (own, cut) if images.issuperset(each.values()) and len(set(each.values())) == len(each)]
    if fitting == [own, cut] and own != cut:
        path = next(path for path in own if own[path] != cut[path])
        raise DatasetError(f"{path} may be the mask of {own[path]} or of {cut[path]}; rename that image")
    return fitting[0] if fitting else {path: own[path] if own[path] in images else cut[path] for path in own}


def require_one_image_each(names: dict[Path, str], masks: dict[str, Path]) -> None:
    """Refuses masks that could belong to several images, which differ in their suffix alone.

    Args:
        names: name of each image, without its suffix.
        masks: mask by name.

    Raises:
        DatasetError: there is one.
    """
    images: dict[str, list[Path]] = {}
    for path, name in names.items():
        images.setdefault(name, []).append(path)
    for name, mask in masks.items():
        if len(images.get(name, [])) > 1:
            named = ", ".join(map(str, images[name]))
            raise DatasetError(f"{mask} is the mask of several images, {named}; rename all but one")


def _name_below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


@permissions_told()
def require_folders(layout: str, promise: str, *folders: Path) -> None:
    """Refuses a tree of another layout.

    Args:
        layout: name of the layout, for the error.
        promise: what the layout expects, for the error.
        *folders: those that must exist.

    Raises:
        DatasetError: one does not exist, or cannot be read.
    """
    for folder in folders:
        if not folder.is_dir():
            raise DatasetError(f"{folder} does not exist; layout {layout} expects {promise}")
