"""The gate for bad input: from a product's folder to a table of images that can all be read."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from moleflow.artifacts import digest
from moleflow.choices import choose
from moleflow.datasets.images import read_image, read_mask
from moleflow.datasets.mvtec import scan_mvtec
from moleflow.datasets.sample import DatasetError, Sample

LAYOUTS: dict[str, Callable[[Path], list[Sample]]] = {"mvtec": scan_mvtec}


def build_index(root: Path, *, layout: str, calibration_fraction: float) -> pd.DataFrame:
    """Lists a product's images after reading every one of them.

    Args:
        root: folder of the product.
        layout: name in `LAYOUTS`.
        calibration_fraction: share of the normal training images held out for calibration, drawn at
            random but always alike.

    Returns:
        One row per image: path, split ("train", "calibration", "test"), label, defect, mask (empty
        for none), digest and mask_digest (SHA-256 of the files, so that later stages follow them).

    Raises:
        DatasetError: the class is empty, a mask has another size than its image, or the same
            picture is in training and test.
        ImageError: a file is no complete image.
    """
    samples = choose(LAYOUTS, layout, "layout")(root)
    train = [sample for sample in samples if sample.split == "train"]
    test = [sample for sample in samples if sample.split == "test"]
    if len(train) < 5:
        raise DatasetError(f"{root} has {len(train)} normal training images; 5 are needed, 100 or more are good")
    if not test:
        raise DatasetError(f"{root} has no test images; add at least one normal one")
    contents = {sample.path: _check(sample) for sample in samples}
    _refuse_leak(train, test, contents)
    held_out = round(calibration_fraction * len(train))
    held_out = min(max(held_out, 1), len(train) - 1)
    calibration = set(np.random.default_rng(0).permutation(len(train))[:held_out].tolist())
    splits = ["calibration" if row in calibration else "train" for row in range(len(train))]
    return pd.DataFrame(
        {
            "path": [sample.path.as_posix() for sample in train + test],
            "split": splits + ["test"] * len(test),
            "label": [sample.label for sample in train + test],
            "defect": [sample.defect for sample in train + test],
            "mask": [sample.mask.as_posix() if sample.mask else "" for sample in train + test],
            "digest": [digest(sample.path) for sample in train + test],
            "mask_digest": [digest(sample.mask) if sample.mask else "" for sample in train + test],
        }
    )


def read_index(path: Path) -> pd.DataFrame:
    """Reads an index that `build_index` made and a stage wrote as csv."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; `dvc repro` makes it")
    return pd.read_csv(path, keep_default_na=False)


def _check(sample: Sample) -> str:
    """Reads image and mask; returns the SHA-256 of the decoded picture."""
    image = read_image(sample.path)
    if sample.mask is not None:
        mask = read_mask(sample.mask)
        if mask.size != image.size:
            raise DatasetError(
                f"{sample.mask} has {mask.width}×{mask.height} pixels, its image {sample.path} "
                f"{image.width}×{image.height}; redraw the mask at the image's size"
            )
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def _refuse_leak(train: list[Sample], test: list[Sample], contents: dict[Path, str]) -> None:
    trained = {contents[sample.path]: sample.path for sample in train}
    for sample in test:
        if contents[sample.path] in trained:
            raise DatasetError(
                f"{sample.path} shows the same picture as the training image {trained[contents[sample.path]]}; "
                "remove one of them, or the test measures memory"
            )
