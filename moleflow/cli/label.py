"""`moleflow label`: what a user found out about images, kept beside the data set; nothing learns from them."""

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from moleflow.calibration.conformal import images_needed
from moleflow.config.errors import MoleflowError
from moleflow.config.params import Above, Config, OpenFraction, load_params
from moleflow.config.products import load_products
from moleflow.config.registry import choose
from moleflow.datasets.feedback import LABELS, TRACKED, feedback_samples
from moleflow.datasets.index import without_white
from moleflow.datasets.mistakes import wrong_names
from moleflow.datasets.picture import Picture, examine
from moleflow.datasets.sample import Sample, read_table
from moleflow.files.artifacts import digest, write_text
from moleflow.files.locks import locked
from moleflow.files.paths import Paths
from moleflow.files.split_names import FEEDBACK
from moleflow.images.index_table import read_index, white_of
from moleflow.images.listing import image_suffixes
from moleflow.inspections.asked import asked_images

KIND = re.compile(r"\w[\w -]*")
DIGITS = 12  # of the digest, behind the name: images of one name from two folders stay apart


class LabelConfig(Config):
    """What the command reads of params.yaml, besides the products."""

    max_megapixels: Above
    alarm_rate: OpenFraction


class LabelError(MoleflowError):
    """Images cannot be labeled; nothing was copied."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("images", nargs="+", help="files, folders, quoted patterns, or - for names on standard input")
    parser.add_argument("--product", required=True, help="the product that all images show")
    label = parser.add_mutually_exclusive_group(required=True)
    label.add_argument("--normal", action="store_true", help="they show no defect")
    label.add_argument("--defective", metavar="KIND", help="they show this kind of defect")


def run(arguments: argparse.Namespace) -> None:
    """Copies the images into the product's folder of feedback, all or none.

    Args:
        arguments: images, product, and normal or defective.

    Raises:
        ChoiceError: there is no such product.
        ParamsError: a key is missing or wrong.
        ArtifactError: the product has no index yet, which tells its images from others.
        LabelError: the kind is no name of a folder; an image cannot be read, has a name that no table can hold, is one
            of the product's own, or is labeled already; what was labeled before is not here; or nothing can be written.
        DatasetError: the table of what was labeled before cannot be read.
    """
    paths, product = Paths(Path()), arguments.product
    line = choose(load_products(paths.params).classes, product, "product")
    settings = load_params(LabelConfig, paths.params)
    kind = "good" if arguments.normal else arguments.defective
    if not arguments.normal and (not KIND.fullmatch(kind) or kind.casefold() == "good"):
        raise LabelError(f"--defective {kind!r} is no kind of defect; take letters, digits, spaces, _ and -, not good")
    table, folder = read_index(paths.index.of(product)), paths.feedback / product
    if folder.with_name(product + TRACKED).exists() and not folder.exists():
        raise LabelError(f"{folder} is not here; `dvc pull {folder}{TRACKED}` fetches what was labeled before, first")
    images, limit = asked_images(arguments.images, sys.stdin), settings.max_megapixels
    given = [examine(Sample(path, FEEDBACK, 0, kind, None), FEEDBACK, max_megapixels=limit) for path in images]
    target = folder / ("normal" if arguments.normal else f"defective/{kind}")
    with locked(paths.feedback.with_name(".labels.lock")):  # somebody else may label at once
        _refuse_wrong(without_white(given, white_of(table)), feedback_samples(folder), table)
        digests = {path: digest(path) for path in images}
        copies = {target / _name(path, digests[path]): path for path in images}
        with _all_or_none(copies, [target, target.parent, folder]):
            _write_labels(folder, copies, digests)
    count = f"{len(copies)} image{'s' * (len(copies) != 1)}"
    print(f"{count} of {product} labeled {'normal' if arguments.normal else kind}, in {target}")
    print(f"`git add {folder}` or `dvc add {folder}` keeps them; `dvc repro` judges them and learns nothing anew.")
    if arguments.normal:
        needed = images_needed(line.alarm_rate or settings.alarm_rate)
        print(f"`moleflow recalibrate {product} {target}` sets the thresholds by the normal ones; it needs {needed}.")


def _name(path: Path, digest: str) -> str:
    """What a copy is called: never hidden, and never like another image's."""
    return f"{path.stem.lstrip('.')}-{digest[:DIGITS]}{path.suffix}"


def _refuse_wrong(given: list[Picture], labeled: list[Sample], table: pd.DataFrame) -> None:
    """Refuses images that cannot be read, or whose pixels are known already."""
    wrong = [str(picture.unreadable) for picture in given if picture.unreadable]
    wrong += map(str, wrong_names(picture.sample.path for picture in given if not picture.unreadable))
    rows = [row for row in table.itertuples() if row.split != FEEDBACK]
    own = {key: f"{row.path} ({row.split})" for row in rows for key in (row.digest, row.content) if key}
    known = {examine(sample, FEEDBACK, max_megapixels=float("inf")).content: sample.path for sample in labeled}
    for picture in (picture for picture in given if not picture.unreadable):
        path = picture.sample.path
        image, twin = own.get(digest(path)) or own.get(picture.content), known.setdefault(picture.content, path)
        if path.suffix.lower() not in image_suffixes():
            wrong.append(f"{path}: {path.suffix or 'no suffix'} is not the suffix of an image; rename the file")
        elif image:
            wrong.append(f"{path} is the product's own {image}; leave it out")
        elif twin is not path:
            wrong.append(f"{path} is the same picture as {twin}; leave it out, or remove that one first")
    if wrong:
        raise LabelError("nothing was labeled:\n" + "\n".join(f"  {each}" for each in wrong))


@contextmanager
def _all_or_none(copies: dict[Path, Path], folders: list[Path]) -> Iterator[None]:
    """Copies files to where their keys say; if something fails, none of them stays, and no folder that is empty."""
    try:
        for copy, path in copies.items():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        yield
    except BaseException as error:
        for copy in copies:
            with suppress(OSError):  # it may not have come so far
                copy.unlink()
        for made in folders:
            with suppress(OSError):  # it holds what was labeled before
                made.rmdir()
        if isinstance(error, OSError):
            name = error.filename2 or error.filename  # of a copy the second one
            raise LabelError(f"nothing was labeled: {name} cannot be written ({error.strerror})") from error
        raise


def _write_labels(folder: Path, copies: dict[Path, Path], digests: dict[Path, str]) -> None:
    """Adds where the images come from to the product's table, and takes out those that were removed."""
    rows = [(copy.relative_to(folder).as_posix(), str(path), digests[path]) for copy, path in copies.items()]
    added = pd.DataFrame(rows, columns=["image", "source", "digest"])
    file = folder / LABELS
    before = read_table(file, list(added), None) if file.is_file() else added[:0]
    before = before[[(folder / image).is_file() for image in before["image"]]]
    write_text(file, pd.concat([before, added]).sort_values("image").to_csv(index=False))
