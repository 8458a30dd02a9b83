"""An image of a product and its mask, read once."""

from dataclasses import dataclass, field

import numpy as np

from moleflow.config.errors import MoleflowError
from moleflow.datasets.sample import Sample
from moleflow.images.content import content_of
from moleflow.images.decoding import ImageError, decode, frames
from moleflow.images.reading import read_mask


@dataclass(frozen=True)
class Picture:
    """What is known of an image after a look at its file and its mask's.

    Attributes:
        sample: what its layout says of it.
        split: "train", "calibration", "test" or "feedback".
        content: SHA-256 of its pixels as a viewer shows them; empty if it cannot be read.
        size: width and height in pixels.
        kind: numpy's name of the type of its values; "uint8" up to 8 bits.
        smallest, largest: of its values; int of integers, float of floating point.
        frames: how many pictures the file holds; the first is used.
        mask_size: width and height of its mask; None without one, or if it cannot be read.
        marked: share of its mask's pixels that are marked; 0 without one.
        unreadable: why the image cannot be read.
        mask_unreadable: why its mask cannot be read.
    """

    sample: Sample
    split: str
    content: str = ""
    size: tuple[int, int] = (0, 0)
    kind: str = "uint8"
    smallest: int | float = 0
    largest: int | float = 255
    frames: int = 1
    mask_size: tuple[int, int] | None = None
    marked: float = 0.0
    unreadable: MoleflowError | None = field(default=None, compare=False)
    mask_unreadable: MoleflowError | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """Its path and split."""
        return f"{self.sample.path} ({self.split})"

    @property
    def deep(self) -> bool:
        """Whether it holds more than 8 bits a value, so that its white is the product's."""
        return self.kind != "uint8"


def examine(sample: Sample, split: str, *, max_megapixels: float) -> Picture:
    """Reads an image and its mask.

    Args:
        sample: the image.
        split: its split.
        max_megapixels: larger files are unreadable.

    Returns:
        What was seen; an image or mask that cannot be read says why.
    """
    mask_size, marked, mask_unreadable = None, 0.0, None
    try:
        if sample.mask is not None:
            mask = read_mask(sample.mask, max_megapixels=max_megapixels)
            mask_size, marked = mask.size, mask.histogram()[255] / (mask.width * mask.height)
    except ImageError as error:
        mask_unreadable = error
    except OSError as error:
        mask_unreadable = ImageError(f"{sample.mask}: not a readable mask ({error.strerror}); correct its name")
    try:
        values, count = decode(sample.path, max_megapixels=max_megapixels), frames(sample.path)
    except ImageError as error:
        return Picture(sample, split, unreadable=error, mask_size=mask_size, mask_unreadable=mask_unreadable)
    bounds = (0, 255) if values.dtype == np.uint8 else (values.min().item(), values.max().item())
    return Picture(
        sample,
        split,
        content_of(values),
        (values.shape[1], values.shape[0]),
        values.dtype.name,
        *bounds,
        frames=count,
        mask_size=mask_size,
        marked=marked,
        mask_unreadable=mask_unreadable,
    )
