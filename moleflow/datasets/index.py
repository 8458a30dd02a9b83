"""The check for bad input: from a product's folder to a table of images that can all be read."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from moleflow.config.errors import MoleflowError
from moleflow.config.registry import choose
from moleflow.datasets.contamination import contaminated
from moleflow.datasets.feedback import feedback_samples, wrong_feedback
from moleflow.datasets.layouts import LAYOUTS
from moleflow.datasets.mistakes import (
    all_alike,
    linked_folders,
    too_few,
    wrong_masks,
    wrong_names,
    wrong_numbers,
    wrong_paths,
)
from moleflow.datasets.oddities import left_out, oddities
from moleflow.datasets.overview import Overview, overview
from moleflow.datasets.picture import Picture, examine
from moleflow.datasets.sample import DatasetError, Sample, permissions_told
from moleflow.datasets.sieves import DUPLICATES, UNREADABLE, Sieved, contradictions
from moleflow.files.artifacts import digest
from moleflow.files.split_names import FEEDBACK
from moleflow.images.bit_depth import BitDepth, find_white, has_white
from moleflow.images.decoding import ImageError
from moleflow.images.listing import list_files


class Index(NamedTuple):
    """A product's images, and what is to be said of its folder.

    Attributes:
        table: one row per image: path, split ("train", "calibration", "test", "feedback"), label, defect, mask (empty
            for none), white (see `moleflow.images.bit_depth.find_white`; nan for none), digest and mask_digest (SHA-256
            of the files, so that later stages notice a change), content (SHA-256 of the pixels, which tells copies).
        overview: what was found.
    """

    table: pd.DataFrame
    overview: Overview


@permissions_told()
def build_index(
    root: Path,
    *,
    layout: str,
    calibration_fraction: float,
    duplicates: str,
    unreadable: str,
    bit_depth: BitDepth,
    max_megapixels: float,
    contamination: float,
    feedback: Path | None = None,
) -> Index:
    """Lists a product's images after reading every one of them.

    Args:
        root: folder of the product.
        layout: name in `LAYOUTS`.
        calibration_fraction: share of the normal training images held out for calibration, drawn at
            random but always the same; of no effect where the data set keeps such images itself.
        duplicates: what to do with the same picture twice, a name in `DUPLICATES`.
        unreadable: what to do with images and masks that cannot be read, a name in `UNREADABLE`.
        bit_depth: bits of images that hold more than 8, see `moleflow.images.bit_depth.find_white`.
        max_megapixels: larger files count as unreadable.
        contamination: share of the training images that defective test images take the place of.
        feedback: folder of images that were labeled later; they come last, and change nothing about the others.

    Returns:
        The index.

    Raises:
        ChoiceError: the layout is unknown.
        ImageError: a single file cannot be read.
        DatasetError: the folder is not as its layout expects; or all that is wrong with it: too few images, fewer than
            two to learn from, all the same picture, masks of another size than their images, folders that are links,
            the same picture in two splits or with two labels, files and folders that cannot be read.
    """
    labels = feedback_samples(feedback) if feedback else []
    samples = choose(LAYOUTS, layout, "layout")(root)
    normal = [sample for sample in samples if sample.split != "test"]
    test = [sample for sample in samples if sample.split == "test"]
    found = _Findings(linked_folders(root) + wrong_numbers(root, normal, test) + wrong_paths(root, samples))
    found.mistakes += wrong_names(sample.path for sample in labels)
    splits = _splits(normal, calibration_fraction) + ["test"] * len(test)
    pictures = _examined(root.name, normal + test, splits, max_megapixels)
    white = find_white((each.largest for each in pictures if each.split != "test" and each.deep), bit_depth)
    readable = found.sieve(choose(UNREADABLE, unreadable, "unreadable")(without_white(pictures, white)))
    found.mistakes += wrong_masks(readable) + all_alike(root, readable) + contradictions(readable)
    used = found.sieve(choose(DUPLICATES, duplicates, "duplicates")(readable))
    used = found.sieve(contaminated(used, contamination))
    labeled = without_white(_examined(root.name, labels, [FEEDBACK] * len(labels), max_megapixels), white)
    found.mistakes += wrong_feedback(labeled, used)
    found.mistakes += too_few(root, used, pictures, len(normal), calibration_fraction)
    _refuse(root, found.mistakes)
    others = left_out(root, normal + test)
    found.notes += [f"images labeled later, judged and not learned from: {len(labeled)}"] if labeled else []
    found.notes += oddities(used, white) + [
        f"{len(files)} files {group} left out, neither images nor masks of this layout; the first is {files[0]}"
        for group, files in others.items()
    ]
    unlisted = sum(map(len, others.values()))
    seen = overview(used, pictures, unlisted, found.notes, white, calibration_fraction)
    return Index(pd.DataFrame([_row(picture, white) for picture in used + labeled]), seen)


class _Findings:
    """What was found so far."""

    def __init__(self, mistakes: list[MoleflowError]) -> None:
        self.mistakes = mistakes
        self.notes: list[str] = []

    def sieve(self, sieved: Sieved) -> list[Picture]:
        """Takes down what is said of the pictures that are not used; returns the others."""
        self.mistakes += sieved.mistakes
        self.notes += sieved.notes
        return sieved.kept


def _refuse(root: Path, mistakes: list[MoleflowError]) -> None:
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise DatasetError(f"{root} has {len(mistakes)} mistakes:\n" + "\n".join(f"  {each}" for each in mistakes))


def _examined(product: str, samples: list[Sample], splits: list[str], max_megapixels: float) -> list[Picture]:
    """Reads all files, on all cores."""
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(samples), desc=f"read {product}", unit="image", leave=False) as bar,
    ):

        def look(sample: Sample, split: str) -> Picture:
            picture = examine(sample, split, max_megapixels=max_megapixels)
            bar.update()
            return picture

        return list(pool.map(look, samples, splits))


def without_white(pictures: list[Picture], white: float | None) -> list[Picture]:
    """Marks images as unreadable whose white nothing tells.

    Args:
        pictures: images of a product.
        white: the product's, see `moleflow.images.bit_depth.find_white`.

    Returns:
        The same, in their order.
    """
    return [
        replace(picture, unreadable=_no_white(picture))
        if picture.deep and not has_white(picture.kind, picture.largest, white)
        else picture
        for picture in pictures
    ]


def _no_white(picture: Picture) -> ImageError:
    return ImageError(
        f"{picture.sample.path}: values of {picture.kind} up to {picture.largest:g} have no known white: the normal "
        "images have none like them; save it as they are, or with 8 bits, or set bit_depth"
    )


def _row(picture: Picture, white: float | None) -> dict[str, object]:
    sample = picture.sample
    return {
        "path": sample.path.as_posix(),
        "split": picture.split,
        "label": sample.label,
        "defect": sample.defect,
        "mask": sample.mask.as_posix() if sample.mask else "",
        "white": np.nan if white is None else white,
        "digest": digest(sample.path),
        "mask_digest": _digest_of_mask(sample.mask) if sample.mask else "",
        "content": picture.content,
    }


def _digest_of_mask(mask: Path) -> str:
    """SHA-256 of a mask's file, or of the digests of those in its folder."""
    if not mask.is_dir():
        return digest(mask)
    return hashlib.sha256(" ".join(digest(path) for path in list_files(mask)).encode()).hexdigest()


def _splits(normal: list[Sample], calibration_fraction: float) -> list[str]:
    given = [sample.split for sample in normal]
    if "calibration" in given:
        return given
    held_out = min(max(round(calibration_fraction * len(normal)), 1), len(normal) - 1)
    calibration = set(np.random.default_rng(0).permutation(len(normal))[:held_out].tolist())
    return ["calibration" if row in calibration else "train" for row in range(len(normal))]
