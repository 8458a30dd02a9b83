"""BTAD's layout: MVTec's with train/ok, test/ok, test/ko and ground_truth/ko/<name>.png or .bmp.

Source: Mishra et al., "VT-ADL", ISIE 2021.
"""

from pathlib import Path

from moleflow.datasets.layouts.mvtec import scan_mvtec
from moleflow.datasets.sample import Sample


def scan_btad(root: Path) -> list[Sample]:
    """Lists the samples of one product, training images first, sorted by path.

    Args:
        root: folder of the product, 01, 02 or 03.

    Returns:
        The samples.

    Raises:
        DatasetError: a folder is missing, or a mask has no image.
    """
    return scan_mvtec(root, layout="btad", normal="ok")
