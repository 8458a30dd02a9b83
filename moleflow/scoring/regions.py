"""Regions of interest: the part of a product's images outside which nothing counts."""

from pathlib import Path

import numpy as np
from PIL import Image

from moleflow.config.errors import MoleflowError
from moleflow.config.registry import choose
from moleflow.images.reading import RESIZES, read_mask


class RegionError(MoleflowError):
    """A region leaves nothing to judge."""


def read_region(path: Path, side: int, resize: str) -> np.ndarray | None:
    """Reads a product's region of interest.

    Args:
        path: a mask drawn over an image of the product, not 0 inside; where there is none, all counts.
        side: patches per side.
        resize: how images are brought to the backbone's view, as in params.yaml.

    Returns:
        True for patches of which at least half lie inside, (side, side); None without a region.

    Raises:
        RegionError: no patch lies inside.
        ImageError: the mask cannot be read.
        ChoiceError: `resize` is unknown.
    """
    if not path.exists():
        return None
    share = Image.fromarray(np.asarray(read_mask(path), np.float32) / 255)
    region: np.ndarray = np.asarray(choose(RESIZES, resize, "resize")(share, side, Image.Resampling.BOX)) >= 0.5
    if not region.any():
        raise RegionError(f"{path}: no patch of {side}×{side} lies inside; mark more of the image, or remove the file")
    return region
