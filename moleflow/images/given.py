"""Images that somebody gives, read in the backbone's view as the stages read those of products."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from moleflow.images.bit_depth import WHITE_16
from moleflow.images.decoding import BROKEN, ImageError, decode, load
from moleflow.images.orienting import View, turn_of
from moleflow.images.reading import image_pixels, rotated


@dataclass(frozen=True)
class Whites:
    """What may be white in images of more than 8 bits, of whichever product they show.

    Attributes:
        known: the values, in ascending order, see `moleflow.images.bit_depth.find_white`.
        shallow: whether a product without such images may be shown, whose white is not known.
    """

    known: list[float]
    shallow: bool

    @classmethod
    def of(cls, products: list[float | None]) -> "Whites":
        """Those of products.

        Args:
            products: the white of each; None of one without images of more than 8 bits.

        Returns:
            The whites.
        """
        return cls(sorted({white for white in products if white is not None}), None in products)

    @property
    def first(self) -> float | None:
        """The white to read by; None if none is known."""
        return self.known[0] if self.known else None

    def require_one(self, values: np.ndarray) -> None:
        """Refuses values that different products would read differently.

        Args:
            values: of an image, as decoded.

        Raises:
            ImageError: they have more than 8 bits, and the product would have to be given.
        """
        several = len(self.known) > 1 or (self.known and self.shallow and values.max() > self.known[0])
        if values.dtype != np.uint8 and several:
            known = ", ".join(f"{white:g}" for white in [*self.known, *([WHITE_16] if self.shallow else [])])
            raise ImageError(
                f"values of {values.dtype} are read by the product's white, and products have different ones ({known});"
                " give product"
            )


class GivenImages:
    """Images to be judged: by their number they are read, one by one.

    Attributes:
        names: what to call each in an error.
        turns: by how much each was turned, in degrees, counterclockwise, (N,); known once it is read.
    """

    def __init__(self, images: list[Any], view: View, whites: Whites, *, max_megapixels: float) -> None:
        """Looks at what is given, and reads no file.

        Args:
            images: paths, Pillow's images, or arrays of pixels as `moleflow.images.decoding.decode` takes them;
                anything else is refused.
            view: how they come before the backbone.
            whites: what may be white in them.
            max_megapixels: larger images are refused.

        Raises:
            ImageError: something is no image, or one of Pillow's cannot be decoded; names it.
        """
        self.images, self.view, self.whites, self.max_megapixels = images, view, whites, max_megapixels
        self.names = [
            str(image) if isinstance(image, str | Path) else f"image {number}" for number, image in enumerate(images)
        ]
        self.turns = np.zeros(len(images))
        for name, image in zip(self.names, images, strict=True):
            if isinstance(image, Image):
                _load(name, image, max_megapixels)
            elif not isinstance(image, str | Path | np.ndarray):
                kind = type(image).__name__
                raise ImageError(f"{name}: {kind} is no image; give a path, an image of Pillow or an array")

    def pixels(self, number: int) -> np.ndarray:
        """An image in the backbone's view; several threads may ask at once.

        Args:
            number: of the image.

        Returns:
            RGB values 0..255, (3, S, S), uint8, turned as `view` says.

        Raises:
            ImageError: it cannot be read; names it.
        """
        try:
            values = decode(self.images[number], max_megapixels=self.max_megapixels)
            self.whites.require_one(values)
            upright = image_pixels(values, self.view.side, self.view.resize, white=self.whites.first)
        except ImageError as error:
            if str(error).startswith(self.names[number]):
                raise
            raise ImageError(f"{self.names[number]}: {error}") from error
        self.turns[number] = turn_of(upright, self.view.orient)
        return rotated(upright, self.turns[number])


def _load(name: str, image: Image, max_megapixels: float) -> None:
    """Decodes an image of Pillow's that is still a file: several threads must not do so at once."""
    with suppress(*BROKEN, AttributeError, AssertionError):  # told when it is read
        try:
            load(image, max_megapixels)
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
