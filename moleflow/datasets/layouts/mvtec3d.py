"""MVTec 3D-AD's layout, color images only: train/good/rgb, validation/good/rgb, test/<defect>/rgb and gt.

The validation images are the calibration images; none are drawn from train.
Source: Bergmann et al., "The MVTec 3D-AD Dataset", VISAPP 2022.
"""

from pathlib import Path

from moleflow.datasets.sample import Sample, defective_samples, list_folders, normal_samples, require_folders
from moleflow.images.listing import list_images


def scan_mvtec3d(root: Path) -> list[Sample]:
    """Lists the samples of one product, training images first, sorted by path.

    Args:
        root: folder of the product.

    Returns:
        The samples.

    Raises:
        DatasetError: a folder is missing, or a mask has no image.
    """
    train, validation, test = root / "train" / "good" / "rgb", root / "validation" / "good" / "rgb", root / "test"
    promise = f"train/good/rgb, validation/good/rgb and test/<defect>/rgb in {root}"
    require_folders("mvtec3d", promise, train, validation, test)
    samples = normal_samples(list_images(train), "train") + normal_samples(list_images(validation), "calibration")
    for folder in list_folders(test, "good"):
        if folder.name == "good":
            samples += normal_samples(list_images(folder / "rgb"), "test")
        else:
            samples += defective_samples(folder / "rgb", folder / "gt", folder.name)
    return samples
