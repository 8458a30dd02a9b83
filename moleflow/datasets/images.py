"""Reading images and masks, and bringing both to the backbone's view."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from moleflow.choices import choose

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


class ImageError(ValueError):
    """An image or mask cannot be read."""


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name; none if it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def read_image(path: Path) -> Image.Image:
    """Decodes an image completely, as RGB.

    Raises:
        ImageError: missing, unreadable or truncated; the message names the file.
    """
    return _decode(path, "RGB")


def read_mask(path: Path) -> Image.Image:
    """Decodes a mask completely, as 8-bit grey: above 127 is defective.

    Raises:
        ImageError: missing, unreadable or truncated; the message names the file.
    """
    return _decode(path, "L")


def _decode(path: Path, mode: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert(mode)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise ImageError(f"{path}: not a readable image ({error}); replace the file or remove it") from error


def _stretch(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    return image.resize((size, size), resample)


def _crop(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), resample, box=(left, top, left + side, top + side))


RESIZES: dict[str, Callable[[Image.Image, int, Image.Resampling], Image.Image]] = {"stretch": _stretch, "crop": _crop}


def image_pixels(path: Path, size: int, resize: str) -> np.ndarray:
    """An image as the backbone sees it.

    Args:
        path: the image.
        size: side in pixels.
        resize: "stretch" changes the aspect ratio, "crop" takes the central square.

    Returns:
        RGB values 0..255, (3, size, size), uint8.
    """
    fitted = choose(RESIZES, resize, "resize")(read_image(path), size, Image.Resampling.BICUBIC)
    return np.asarray(fitted).transpose(2, 0, 1)


def mask_pixels(path: Path, size: int, resize: str) -> np.ndarray:
    """A mask in the same view, binarised at one half after resizing.

    Returns:
        True where defective, (size, size), bool.
    """
    fitted = choose(RESIZES, resize, "resize")(read_mask(path), size, Image.Resampling.BILINEAR)
    return np.asarray(fitted) > 127
