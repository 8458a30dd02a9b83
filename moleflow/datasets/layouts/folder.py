"""The plainest layout: normal/ to learn from, test/ to evaluate, with labels by sub-folder or by labels.csv.

- By sub-folder: test/good, test/<defect>, and masks/<defect>/<name> if there are masks.
- By labels.csv (columns image, label and, if wanted, mask and defect; paths below the product's folder): a label is one
  of the words below, defect is the kind of defect.
"""

from pathlib import Path

from moleflow.datasets.sample import (
    DatasetError,
    Sample,
    below,
    defective_samples,
    list_folders,
    normal_samples,
    read_table,
    require_folders,
)
from moleflow.images.decoding import ImageError
from moleflow.images.listing import list_images
from moleflow.images.reading import read_mask

NORMAL = {"good", "normal", "ok", "pass", "passed", "false", "negative", "0", "0.0"}
DEFECTIVE = {
    "defect", "defective", "bad", "ng", "nok", "not ok", "ko", "fail", "failed", "anomaly", "anomalous", "abnormal",
    "true", "positive", "1", "1.0",
}  # fmt: skip


def scan_folder(root: Path) -> list[Sample]:
    """Lists the samples of one product, training images first.

    Args:
        root: folder of the product.

    Returns:
        The samples.

    Raises:
        DatasetError: a folder is missing, an image has no label, a mask has no image or several, or a line of
            labels.csv is wrong.
    """
    promise = f"normal/ and test/<defect>/, or normal/, test/ and labels.csv, in {root}"
    require_folders("folder", promise, root / "normal", root / "test")
    train = normal_samples(list_images(root / "normal"), "train")
    labels = root / "labels.csv"
    return train + (_by_csv(root, labels) if labels.is_file() else _by_folder(root))


def _by_folder(root: Path) -> list[Sample]:
    bare = [path for path in list_images(root / "test") if path.parent == root / "test"]
    if bare:
        named = ", ".join(map(str, bare))
        raise DatasetError(f"{named} has no label; move it into test/good or test/<defect>, or add {root}/labels.csv")
    samples = []
    for folder in list_folders(root / "test"):
        if folder.name.casefold() in NORMAL:
            samples += normal_samples(list_images(folder), "test")
        else:
            samples += defective_samples(folder, root / "masks" / folder.name, folder.name)
    return samples


def _by_csv(root: Path, labels: Path) -> list[Sample]:
    table = read_table(labels, ["image", "label"], ("mask", "defect"))
    empty = int((table.image == "").sum())
    if empty:
        raise DatasetError(
            f"{labels}: {empty} of {len(table)} lines name no image; fill in their image, or remove them"
        )
    listed = {below(root, image) for image in table.image}
    unlabeled = [path for path in list_images(root / "test") if path not in listed]
    if unlabeled:
        _require_matched(root, labels, list(table.image), unlabeled[0])
        raise DatasetError(f"{', '.join(map(str, unlabeled))} has no line in {labels}; add it or remove the image")
    unknown = sorted({label for label in table.label if label.casefold() not in NORMAL | DEFECTIVE})
    if unknown:
        raise DatasetError(
            f"{labels}: label {', '.join(map(repr, unknown))} is unknown; normal images may be called "
            f"{', '.join(sorted(NORMAL))}, defective ones {', '.join(sorted(DEFECTIVE))}; kinds of defect go into a "
            "column of their own, defect"
        )
    masks, defects = (table[name] if name in table else [""] * len(table) for name in ("mask", "defect"))
    rows = zip(table.image, table.label, masks, defects, strict=True)
    samples = [_labeled(root, *row, labels) for row in rows]
    images = {sample.path for sample in samples}
    for sample in (sample for sample in samples if sample.mask in images):
        raise DatasetError(f"{labels}: the mask of {sample.path}, {sample.mask}, is listed as an image; correct one")
    return samples


def _require_matched(root: Path, labels: Path, images: list[str], example: Path) -> None:
    """Refuses names of no file, which explain why others have no line: of another folder, or absolute ones."""
    files = set(list_images(root))
    unmatched = [image for image in images if below(root, image) not in files]
    if unmatched:
        raise DatasetError(
            f"{labels}: {len(unmatched)} of {len(images)} lines name no image of {root}, the first is "
            f"{unmatched[0]!r}; write them like {example.relative_to(root).as_posix()}, which has no line"
        )


def _labeled(root: Path, image: str, label: str, mask: str, defect: str, labels: Path) -> Sample:
    if mask and below(root, mask).is_dir():
        raise DatasetError(f"{labels}: the mask {mask!r} of {image} is a folder; write the file of its mask")
    if label.casefold() in DEFECTIVE:
        if defect.casefold() in ("good", "normal", "ok"):  # not a number, which may be a kind's
            raise DatasetError(
                f"{labels}: {image} is labeled {label!r}, defective, with the defect {defect!r}; correct one"
            )
        return Sample(below(root, image), "test", 1, defect or "defect", below(root, mask) if mask else None)
    if defect and defect.casefold() not in NORMAL:
        raise DatasetError(f"{labels}: {image} is labeled {label!r}, normal, with the defect {defect!r}; correct one")
    if mask and _marks(below(root, mask)):  # some tools write a black one for every normal image
        raise DatasetError(
            f"{labels}: {image} is labeled {label!r}, normal, but its mask {mask!r} is missing or not black; "
            "correct one"
        )
    return Sample(below(root, image), "test", 0, "good", None)


def _marks(mask: Path) -> bool:
    """Whether a normal image's mask says anything but that there is nothing."""
    try:
        return read_mask(mask).getbbox() is not None
    except (ImageError, OSError):
        return True
