"""What every layout says of an image."""

from dataclasses import dataclass
from pathlib import Path


class DatasetError(ValueError):
    """A data set is not what its layout promises; the message names the file and the way out."""


@dataclass(frozen=True)
class Sample:
    """One image of a product.

    Attributes:
        path: the image.
        split: "train" (normal images to learn from), "calibration" (normal images that the data set
            itself keeps apart) or "test".
        label: 0 normal, 1 defective.
        defect: kind of defect, "good" for a normal image.
        mask: where the defect lies; None if nobody marked it, or for a normal image.
    """

    path: Path
    split: str
    label: int
    defect: str
    mask: Path | None


def normal_samples(images: list[Path], split: str) -> list[Sample]:
    """Samples of normal images."""
    return [Sample(path, split, 0, "good", None) for path in images]


def defective_samples(images: list[Path], masks: list[Path], defect: str) -> list[Sample]:
    """Samples of defective test images, each with the mask of its name if there is one.

    Args:
        images: the images.
        masks: named as their image, or with "_mask" behind the name.
        defect: kind of defect.

    Raises:
        DatasetError: a mask without an image.
    """
    by_name = {path.stem.removesuffix("_mask"): path for path in masks}
    stray = sorted(set(by_name) - {path.stem for path in images})
    if stray:
        raise DatasetError(
            f"{by_name[stray[0]]} is a mask without an image of defect {defect}; add the image or remove the mask"
        )
    return [Sample(path, "test", 1, defect, by_name.get(path.stem)) for path in images]


def require_folders(layout: str, promise: str, *folders: Path) -> None:
    """Refuses a tree of another layout.

    Args:
        layout: name of the layout, for the error.
        promise: what the layout expects, for the error.
        folders: those that must exist.

    Raises:
        DatasetError: one does not exist.
    """
    for folder in folders:
        if not folder.is_dir():
            raise DatasetError(f"{folder} does not exist; layout {layout} expects {promise}")
