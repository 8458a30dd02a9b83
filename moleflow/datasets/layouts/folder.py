"""The plainest layout: normal/ to learn from, test/ to evaluate, with labels by sub-folder or by labels.csv.

- By sub-folder: test/good, test/<defect>, and masks/<defect>/<name> if there are masks.
- By labels.csv (columns image, label and, if there are masks, mask; paths below the product's folder):
  label 0 or "good" is normal, 1 or any other word is the kind of defect.
"""

from pathlib import Path

from moleflow.datasets.sample import (
    DatasetError,
    Sample,
    defective_samples,
    list_folders,
    normal_samples,
    read_table,
    require_folders,
)
from moleflow.images.reading import list_images

NORMAL, DEFECTIVE = {"good", "normal", "ok", "0", "0.0"}, {"1": "defect", "1.0": "defect"}


def scan_folder(root: Path) -> list[Sample]:
    """Lists the samples of one product, training images first.

    Args:
        root: folder of the product.

    Returns:
        The samples.

    Raises:
        DatasetError: a folder is missing, an image has no label, or a mask has no image.
    """
    promise = f"normal/ and test/<defect>/, or normal/, test/ and labels.csv, in {root}"
    require_folders("folder", promise, root / "normal", root / "test")
    train = normal_samples(list_images(root / "normal"), "train")
    labels = root / "labels.csv"
    return train + (_by_csv(root, labels) if labels.is_file() else _by_folder(root))


def _by_folder(root: Path) -> list[Sample]:
    bare = list_images(root / "test")
    if bare:
        raise DatasetError(f"{bare[0]} has no label; move it into test/good or test/<defect>, or add {root}/labels.csv")
    samples = []
    for folder in list_folders(root / "test"):
        if folder.name.casefold() in NORMAL:
            samples += normal_samples(list_images(folder), "test")
        else:
            samples += defective_samples(list_images(folder), list_images(root / "masks" / folder.name), folder.name)
    return samples


def _by_csv(root: Path, labels: Path) -> list[Sample]:
    table = read_table(labels, ["image", "label"])
    listed = {root / image for image in table.image}
    unlabeled = [path for path in sorted((root / "test").rglob("*")) if path.is_file() and path not in listed]
    if unlabeled:
        raise DatasetError(f"{unlabeled[0]} has no line in {labels}; add it or remove the image")
    masks = table["mask"] if "mask" in table else [""] * len(table)
    return [_labeled(root, *row, labels) for row in zip(table.image, table.label, masks, strict=True)]


def _labeled(root: Path, image: str, label: str, mask: str, labels: Path) -> Sample:
    if not label:
        raise DatasetError(f"{labels}: {image} has an empty label; 0 is normal, 1 or a word is a defect")
    if label.casefold() in NORMAL:
        return Sample(root / image, "test", 0, "good", None)
    return Sample(root / image, "test", 1, DEFECTIVE.get(label, label), root / mask if mask else None)
