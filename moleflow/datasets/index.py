"""The check for bad input: from a product's folder to a table of images that can all be read."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from moleflow.config.registry import choose
from moleflow.datasets.duplicates import DUPLICATES, Picture
from moleflow.datasets.layouts import LAYOUTS
from moleflow.datasets.sample import DatasetError, Sample
from moleflow.files.artifacts import digest
from moleflow.images.reading import list_files, read_image, read_mask

MASK_TOLERANCE = 0.01  # of a side, a pixel at least, by which a mask's size may differ from its image's; it is resized


class Index(NamedTuple):
    """A product's images, and what is to be said of its folder.

    Attributes:
        table: one row per image: path, split ("train", "calibration", "test"), label, defect, mask (empty for none),
            digest and mask_digest (SHA-256 of the files, so that later stages notice a change).
        notes: sentences about files that are left out, copies and resized masks.
    """

    table: pd.DataFrame
    notes: list[str]


def build_index(root: Path, *, layout: str, calibration_fraction: float, duplicates: str) -> Index:
    """Lists a product's images after reading every one of them.

    Args:
        root: folder of the product.
        layout: name in `LAYOUTS`.
        calibration_fraction: share of the normal training images held out for calibration, drawn at
            random but always the same; of no effect where the data set keeps such images itself.
        duplicates: what to do with the same picture twice, a name in `DUPLICATES`.

    Returns:
        The index.

    Raises:
        ChoiceError: the layout is unknown.
        DatasetError: the product has too few images or leaves fewer than two to learn from, its normal images
            are all the same picture, a mask has another size than its image, a folder is a link, or the same
            picture is in two splits.
        ImageError: a file is not a complete image.
    """
    _refuse_linked_folders(root)
    samples = choose(LAYOUTS, layout, "layout")(root)
    test = [sample for sample in samples if sample.split == "test"]
    normal = [sample for sample in samples if sample.split != "test"]
    if len(normal) < 5:
        raise DatasetError(f"{root} has {len(normal)} normal training images; 5 are needed, 100 or more are good")
    if not test:
        raise DatasetError(f"{root} has no test images; add at least one normal one")
    twice = [path for path, count in Counter(sample.path for sample in samples).items() if count > 1]
    if twice:
        raise DatasetError(f"{twice[0]} is listed more than once; keep one line of it")
    splits = _splits(normal, calibration_fraction) + ["test"] * len(test)
    _refuse_few(root, splits.count("train"), len(normal), calibration_fraction)
    notes = _half_masked(test)
    pictures = [
        Picture(sample, split, _check(sample, notes)) for sample, split in zip(normal + test, splits, strict=True)
    ]
    _refuse_alike(root, [picture.content for picture in pictures if picture.split == "train"])
    kept, said = choose(DUPLICATES, duplicates, "duplicates")(pictures)
    _refuse_few(root, sum(picture.split == "train" for picture in kept), len(normal), calibration_fraction)
    rows = [
        {
            "path": sample.path.as_posix(),
            "split": split,
            "label": sample.label,
            "defect": sample.defect,
            "mask": sample.mask.as_posix() if sample.mask else "",
            "digest": digest(sample.path),
            "mask_digest": _digest_of_mask(sample.mask) if sample.mask else "",
        }
        for sample, split in ((picture.sample, picture.split) for picture in kept)
    ]
    notes += said + [
        f"{len(files)} files {group} left out, neither images nor masks of this layout; the first is {files[0]}"
        for group, files in _left_out(root, normal + test).items()
    ]
    return Index(pd.DataFrame(rows), notes)


def _digest_of_mask(mask: Path) -> str:
    """SHA-256 of a mask's file, or of the digests of those in its folder."""
    if not mask.is_dir():
        return digest(mask)
    return hashlib.sha256(" ".join(digest(path) for path in list_files(mask)).encode()).hexdigest()


def _left_out(root: Path, samples: list[Sample]) -> dict[str, list[Path]]:
    """Files of a product's folder that are neither image nor mask, by folder and suffix; hidden ones do not count."""
    used = {root / "labels.csv", *(sample.path for sample in samples)}
    for mask in (sample.mask for sample in samples if sample.mask):
        used |= set(list_files(mask)) if mask.is_dir() else {mask}
    groups: dict[str, list[Path]] = {}
    for path in list_files(root):
        if path not in used:
            groups.setdefault((path.parent.relative_to(root) / f"*{path.suffix}").as_posix(), []).append(path)
    return groups


def _refuse_linked_folders(root: Path) -> None:
    """DVC follows a link to a file, and to the product's folder, but not one to a folder below it."""
    linked = [path for path in sorted(root.rglob("*")) if path.is_symlink() and path.is_dir()] if root.is_dir() else []
    if linked:
        raise DatasetError(
            f"{', '.join(map(str, linked))}: a link to a folder, whose images could change without DVC noticing; put "
            "the folder itself there, or links to its files, or give the folder as the product's path"
        )


def _splits(normal: list[Sample], calibration_fraction: float) -> list[str]:
    given = [sample.split for sample in normal]
    if "calibration" in given:
        return given
    held_out = min(max(round(calibration_fraction * len(normal)), 1), len(normal) - 1)
    calibration = set(np.random.default_rng(0).permutation(len(normal))[:held_out].tolist())
    return ["calibration" if row in calibration else "train" for row in range(len(normal))]


def _check(sample: Sample, notes: list[str]) -> str:
    """Reads image and mask; returns the SHA-256 of the decoded picture."""
    image = read_image(sample.path)
    if sample.mask is not None:
        mask = read_mask(sample.mask)
        sizes = (
            f"{sample.mask} has {mask.width}×{mask.height} pixels, its image {sample.path} {image.width}×{image.height}"
        )
        bounds = [max(1, round(MASK_TOLERANCE * side)) for side in image.size]
        if any(abs(own - side) > bound for own, side, bound in zip(mask.size, image.size, bounds, strict=True)):
            raise DatasetError(f"{sizes}; redraw the mask at the image's size")
        if mask.size != image.size:
            notes.append(f"{sizes}: the mask is resized")
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def _half_masked(test: list[Sample]) -> list[str]:
    """What to say if some defective images have a mask and others have none."""
    bare = [sample.path for sample in test if sample.label and not sample.mask]
    defective = sum(sample.label for sample in test)
    if not bare or len(bare) == defective:
        return []
    count = f"{len(bare)} of {defective} defective images"
    return [f"{count} have no mask, pixel metrics leave them out; the first is {bare[0]}"]


def _refuse_few(root: Path, train: int, normal: int, calibration_fraction: float) -> None:
    if train < 2:
        raise DatasetError(
            f"{root}: {train} of {normal} normal images is left to learn from, 2 are needed and 100 or more are good; "
            f"lower calibration_fraction ({calibration_fraction}) or add images"
        )


def _refuse_alike(root: Path, train: list[str]) -> None:
    if len(set(train)) == 1:
        raise DatasetError(
            f"{root}: all {len(train)} images to learn from are the same picture; 2 different ones are needed, "
            "100 or more are good"
        )
