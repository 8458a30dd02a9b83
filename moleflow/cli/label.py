"""`moleflow label`: what a user found out about images, kept beside the data set; nothing learns from them."""

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from moleflow.config.errors import MoleflowError
from moleflow.config.params import read_params
from moleflow.config.products import load_products
from moleflow.config.registry import choose
from moleflow.datasets.feedback import LABELS, feedback_samples
from moleflow.datasets.picture import Picture, examine
from moleflow.datasets.sample import Sample
from moleflow.files.artifacts import digest, write_text
from moleflow.files.paths import Paths
from moleflow.files.split_names import FEEDBACK
from moleflow.images.index_table import read_index
from moleflow.inspections.asked import asked_images

KIND = re.compile(r"\w[\w -]*")
DIGITS = 12  # of the digest, behind the name: images of one name from two folders stay apart


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
        LabelError: the kind is no name of a folder; an image cannot be read, is one of the product's own, or is
            labeled already.
    """
    paths, product = Paths(Path()), arguments.product
    choose(load_products(paths.params).classes, product, "product")
    kind = "good" if arguments.normal else arguments.defective
    if not arguments.normal and (not KIND.fullmatch(kind) or kind.casefold() == "good"):
        raise LabelError(f"--defective {kind!r} is no kind of defect; take letters, digits, spaces, _ and -, not good")
    megapixels = read_params(paths.params)["max_megapixels"]
    images = asked_images(arguments.images, sys.stdin)
    given = [examine(Sample(path, FEEDBACK, 0, kind, None), FEEDBACK, max_megapixels=megapixels) for path in images]
    folder = paths.feedback / product
    _refuse_known(given, feedback_samples(folder), paths.index.of(product))
    target = folder / ("normal" if arguments.normal else f"defective/{kind}")
    digests = {path: digest(path) for path in images}
    copies = {target / f"{path.stem}-{digests[path][:DIGITS]}{path.suffix}": path for path in images}
    with _all_or_none(copies):
        _write_labels(folder, copies, digests)
    count = f"{len(copies)} image{'s' * (len(copies) != 1)}"
    print(f"{count} of {product} labeled {'normal' if arguments.normal else kind}, in {target}")
    print(f"`git add {folder}` or `dvc add {folder}` keeps them; `dvc repro` judges them and learns nothing anew.")
    if arguments.normal:
        print(f"`moleflow recalibrate {product} {target}` sets the thresholds by the normal ones.")


def _refuse_known(given: list[Picture], labeled: list[Sample], index: Path) -> None:
    """Refuses images that cannot be read, are given twice, or are known already, by what they show or by their file."""
    wrong = [str(picture.unreadable) for picture in given if picture.unreadable]
    known = {examine(sample, FEEDBACK, max_megapixels=float("inf")).content: str(sample.path) for sample in labeled}
    table = read_index(index) if index.is_file() else pd.DataFrame({"path": [], "split": [], "digest": []})
    own = {row.digest: f"{row.path} ({row.split})" for row in table.itertuples() if row.split != FEEDBACK}
    for picture in (picture for picture in given if not picture.unreadable):
        twin = known.setdefault(picture.content, str(picture.sample.path))
        twin = own.get(digest(picture.sample.path), twin)
        if twin != str(picture.sample.path):
            wrong.append(f"{picture.sample.path} is the same picture as {twin}; leave it out, or remove that one first")
    if wrong:
        raise LabelError("nothing was labeled:\n" + "\n".join(f"  {each}" for each in wrong))


@contextmanager
def _all_or_none(copies: dict[Path, Path]) -> Iterator[None]:
    """Copies files to where their keys say; if something fails, none of them stays."""
    try:
        for copy, path in copies.items():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        yield
    except BaseException as error:
        for copy in copies:
            copy.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise LabelError(f"nothing was labeled: {error.filename} cannot be written ({error.strerror})") from error
        raise


def _write_labels(folder: Path, copies: dict[Path, Path], digests: dict[Path, str]) -> None:
    """Adds where the images come from to the product's table."""
    file = folder / LABELS
    rows = [(copy.relative_to(folder).as_posix(), str(path), digests[path]) for copy, path in copies.items()]
    added = pd.DataFrame(rows, columns=["image", "source", "digest"])
    before = pd.read_csv(file, dtype=str, keep_default_na=False) if file.is_file() else added[:0]
    write_text(file, pd.concat([before, added]).sort_values("image").to_csv(index=False))
