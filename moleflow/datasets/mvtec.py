"""MVTec AD's layout: train/good, test/<defect>, ground_truth/<defect>/<name>_mask.png.

Without a ground_truth folder the class has labels but no masks, and so no pixel metrics.
Source: Bergmann et al., "MVTec AD", CVPR 2019.
"""

from pathlib import Path

from moleflow.datasets.images import list_images
from moleflow.datasets.sample import DatasetError, Sample


def scan_mvtec(root: Path) -> list[Sample]:
    """Lists the samples of one product, training images first, sorted by path.

    Args:
        root: folder of the product.

    Raises:
        DatasetError: a folder is missing, or masks and defective images do not match one to one.
    """
    for folder in (root / "train" / "good", root / "test"):
        if not folder.is_dir():
            raise DatasetError(f"{folder} does not exist; layout mvtec expects train/good and test/<defect> in {root}")
    train = [Sample(path, "train", 0, "good", None) for path in list_images(root / "train" / "good")]
    test = [sample for folder in sorted((root / "test").iterdir()) for sample in _scan_test(root, folder)]
    return train + test


def _scan_test(root: Path, folder: Path) -> list[Sample]:
    defect, images = folder.name, list_images(folder)
    if defect == "good":
        return [Sample(path, "test", 0, defect, None) for path in images]
    masks = {_image_stem(path): path for path in list_images(root / "ground_truth" / defect)}
    stray = sorted(set(masks) - {path.stem for path in images})
    if stray:
        raise DatasetError(
            f"{masks[stray[0]]} is a mask without an image in {folder}; add the image or remove the mask"
        )
    if (root / "ground_truth").is_dir():
        bare = [path for path in images if path.stem not in masks]
        if bare:
            raise DatasetError(f"{bare[0]} has no mask in {root / 'ground_truth' / defect}; add it or remove the image")
    return [Sample(path, "test", 1, defect, masks.get(path.stem)) for path in images]


def _image_stem(mask: Path) -> str:
    return mask.stem.removesuffix("_mask")
