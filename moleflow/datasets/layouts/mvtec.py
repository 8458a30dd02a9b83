"""MVTec AD's layout: train/good, test/<defect>, ground_truth/<defect>/<name>_mask.png; MPDD has the same.

Without a ground_truth folder the product has labels but no masks, and so no pixel metrics.
Source: Bergmann et al., "MVTec AD", CVPR 2019; Jezek et al., "MPDD", ICUMT 2021.
"""

from pathlib import Path

from moleflow.datasets.sample import Sample, defective_samples, list_folders, normal_samples, require_folders
from moleflow.images.listing import list_images


def scan_mvtec(root: Path, layout: str = "mvtec", normal: str = "good") -> list[Sample]:
    """Lists the samples of one product, training images first, sorted by path.

    Args:
        root: folder of the product.
        layout: name of the layout, for errors.
        normal: name of the folders that hold normal images.

    Returns:
        The samples.

    Raises:
        DatasetError: a folder is missing, or a mask has no image.
    """
    promise = f"train/{normal} and test/<defect> in {root}"
    require_folders(layout, promise, root / "train" / normal, root / "test")
    samples = normal_samples(list_images(root / "train" / normal), "train")
    for folder in list_folders(root / "test", normal):
        if folder.name == normal:
            samples += normal_samples(list_images(folder), "test")
        else:
            samples += defective_samples(folder, root / "ground_truth" / folder.name, folder.name)
    return samples
