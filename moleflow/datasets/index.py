"""The check for bad input: from a product's folder to a table of images that can all be read."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from moleflow.config.registry import choose
from moleflow.datasets.layouts import LAYOUTS
from moleflow.datasets.sample import DatasetError, Sample
from moleflow.files.artifacts import digest
from moleflow.images.reading import list_files, read_image, read_mask

MASK_TOLERANCE = 0.01  # of a side, a pixel at least, by which a mask's size may differ from its image's; it is resized


def build_index(root: Path, *, layout: str, calibration_fraction: float) -> pd.DataFrame:
    """Lists a product's images after reading every one of them.

    Args:
        root: folder of the product.
        layout: name in `LAYOUTS`.
        calibration_fraction: share of the normal training images held out for calibration, drawn at
            random but always the same; of no effect where the data set keeps such images itself.

    Returns:
        One row per image: path, split ("train", "calibration", "test"), label, defect, mask (empty
        for none), digest and mask_digest (SHA-256 of the files, so that later stages notice a change).

    Raises:
        ChoiceError: the layout is unknown.
        DatasetError: the product has too few images or leaves fewer than two to learn from, its normal images
            are all the same picture, a mask has another size than its image, only some defective images
            have one, or the same picture is in two splits.
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
    _refuse_half_masked(test)
    splits = _splits(normal, calibration_fraction) + ["test"] * len(test)
    _refuse_few(root, splits.count("train"), len(normal), calibration_fraction)
    contents = [_check(sample) for sample in normal + test]
    _refuse_alike(root, [content for content, split in zip(contents, splits, strict=True) if split == "train"])
    _refuse_twins(normal + test, splits, contents)
    return pd.DataFrame(
        {
            "path": [sample.path.as_posix() for sample in normal + test],
            "split": splits,
            "label": [sample.label for sample in normal + test],
            "defect": [sample.defect for sample in normal + test],
            "mask": [sample.mask.as_posix() if sample.mask else "" for sample in normal + test],
            "digest": [digest(sample.path) for sample in normal + test],
            "mask_digest": [_digest_of_mask(sample.mask) if sample.mask else "" for sample in normal + test],
        }
    )


def _digest_of_mask(mask: Path) -> str:
    """SHA-256 of a mask's file, or of the digests of those in its folder."""
    if not mask.is_dir():
        return digest(mask)
    return hashlib.sha256(" ".join(digest(path) for path in list_files(mask)).encode()).hexdigest()


def left_out(root: Path, table: pd.DataFrame) -> dict[str, list[Path]]:
    """Files of a product's folder that are neither an image nor a mask of its index; hidden ones do not count.

    Args:
        root: folder of the product.
        table: its index.

    Returns:
        Their paths by folder and suffix, such as "test/crack/xyz/*.tiff".
    """
    masks = [Path(mask) for mask in table["mask"] if mask]
    used = {
        *table.path,
        *(path.as_posix() for mask in masks for path in (list_files(mask) if mask.is_dir() else [mask])),
    }
    used.add((root / "labels.csv").as_posix())
    groups: dict[str, list[Path]] = {}
    for path in list_files(root):
        if path.as_posix() not in used:
            folder = path.parent.relative_to(root) / f"*{path.suffix}"
            groups.setdefault(folder.as_posix(), []).append(path)
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


def _check(sample: Sample) -> str:
    """Reads image and mask; returns the SHA-256 of the decoded picture."""
    image = read_image(sample.path)
    if sample.mask is not None:
        mask = read_mask(sample.mask)
        bounds = [max(1, round(MASK_TOLERANCE * side)) for side in image.size]
        if any(abs(own - side) > bound for own, side, bound in zip(mask.size, image.size, bounds, strict=True)):
            raise DatasetError(
                f"{sample.mask} has {mask.width}×{mask.height} pixels, its image {sample.path} "
                f"{image.width}×{image.height}; redraw the mask at the image's size"
            )
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def _refuse_half_masked(test: list[Sample]) -> None:
    bare = [sample for sample in test if sample.label and not sample.mask]
    masked = [sample for sample in test if sample.label and sample.mask]
    if bare and masked:
        raise DatasetError(
            f"{bare[0].path} has no mask, {masked[0].path} has one; a product has masks for all its defective "
            "images or for none: add it or remove the image"
        )


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


def _refuse_twins(samples: list[Sample], splits: list[str], contents: list[str]) -> None:
    """Copies of a training image in other splits would make their metrics or p-values worthless."""
    pictures: dict[str, list[tuple[Path, str]]] = {}
    for sample, split, content in zip(samples, splits, contents, strict=True):
        pictures.setdefault(content, []).append((sample.path, split))
    twins = [copies for copies in pictures.values() if len({split for _, split in copies}) > 1]
    if twins:
        named = "; ".join(" = ".join(f"{path} ({split})" for path, split in copies) for copies in twins)
        raise DatasetError(f"the same picture is in several splits, keep one of each: {named}")
