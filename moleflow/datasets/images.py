"""Reading images and masks, and bringing both to the backbone's view."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import rotate

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
    """Decodes an image completely, as RGB: grey is repeated, transparency left out, 16 bits become 8.

    Raises:
        ImageError: missing, unreadable, truncated, or of a number format without a known range; the
            message names the file.
    """
    return _decoded(path, _as_rgb)


def read_mask(path: Path) -> Image.Image:
    """Decodes a mask completely, as 8-bit grey: 255 is defective, 0 is not.

    Whatever is not zero is defective, whether drawn as 255 (MVTec) or as a number of the kind of
    defect (VisA); in a JPEG, whose zeros are noisy, what is above 127.

    Raises:
        ImageError: missing, unreadable or truncated; the message names the file.
    """
    return _decoded(path, _as_mask)


def _decoded(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    try:
        with Image.open(path) as image:
            return convert(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: not a readable image ({error}); replace the file or remove it") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError("32-bit values have no known white; save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        if values.max() < 4096:
            raise ValueError("its 16-bit values use a sixteenth of their range at most; scale them up to 65535")
        image = Image.fromarray((values >> 8).astype(np.uint8))
    if "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of transparency that it drops on the direct way
    return image.convert("RGB")


def _as_mask(image: Image.Image) -> Image.Image:
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    bands = np.asarray(image).reshape(image.height, image.width, -1)
    marked = (bands > 127 if image.format == "JPEG" else bands != 0)[..., : 3 if bands.shape[2] > 2 else 1].any(2)
    if image.mode in ("LA", "RGBA"):
        marked &= bands[..., -1] > 0  # nothing is drawn where it is transparent
    return Image.fromarray(np.where(marked, np.uint8(255), np.uint8(0)))


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


def rotated(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """A view turned about its centre; what comes in at the corners is mirrored, not black.

    Args:
        pixels: (3, S, S), uint8.
        degrees: anticlockwise.
    """
    turned: np.ndarray = rotate(pixels, degrees, axes=(2, 1), reshape=False, order=1, mode="mirror")
    return turned


def mask_pixels(path: Path, size: int, resize: str) -> np.ndarray:
    """A mask in the same view, binarised at one half after resizing.

    Returns:
        True where defective, (size, size), bool.
    """
    fitted = choose(RESIZES, resize, "resize")(read_mask(path), size, Image.Resampling.BILINEAR)
    return np.asarray(fitted) > 127
