"""MVTec LOCO AD's layout: train/good, validation/good, test/<defect>, ground_truth/<defect>/<name>/000.png, ...

An image has a folder of masks, one for each defect; together they are its mask. The validation images are the
calibration images; none are drawn from train.
Source: Bergmann et al., "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and
Localization", IJCV 2022.
"""

from pathlib import Path

from moleflow.datasets.sample import (
    DatasetError,
    Sample,
    list_folders,
    normal_samples,
    require_folders,
    require_one_image_each,
)
from moleflow.images.listing import list_images


def scan_mvtec_loco(root: Path) -> list[Sample]:
    """Lists the samples of one product, training images first, sorted by path.

    Args:
        root: folder of the product.

    Returns:
        The samples; the mask of a defective one is a folder.

    Raises:
        DatasetError: a folder is missing, or a folder of masks has no image, or several.
    """
    train, validation, test = root / "train" / "good", root / "validation" / "good", root / "test"
    promise = f"train/good, validation/good and test/<defect> in {root}"
    require_folders("mvtec_loco", promise, train, validation, test)
    samples = normal_samples(list_images(train), "train") + normal_samples(list_images(validation), "calibration")
    for folder in list_folders(test, "good"):
        images = list_images(folder)
        if folder.name == "good":
            samples += normal_samples(images, "test")
            continue
        truth = root / "ground_truth" / folder.name
        masks = {path.name: path for path in list_folders(truth)} if truth.is_dir() else {}
        stray = sorted(set(masks) - {path.stem for path in images})
        if stray:
            named = ", ".join(str(masks[name]) for name in stray)
            raise DatasetError(
                f"{named} holds masks without an image of defect {folder.name}; add the image or remove them"
            )
        require_one_image_each({path: path.stem for path in images}, masks)
        samples += [Sample(path, "test", 1, folder.name, masks.get(path.stem)) for path in images]
    return samples
