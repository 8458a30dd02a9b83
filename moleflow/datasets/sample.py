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
        split: "train" (normal images to learn from) or "test".
        label: 0 normal, 1 defective.
        defect: kind of defect, "good" for a normal image.
        mask: where the defect lies; None if nobody marked it, or for a normal image.
    """

    path: Path
    split: str
    label: int
    defect: str
    mask: Path | None
