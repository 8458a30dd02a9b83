"""Images and masks in the backbone's view."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import label, rotate

from moleflow.config.registry import choose
from moleflow.images.bit_depth import WHITE_16, has_white
from moleflow.images.decoding import ImageError, ImageSource, decode, decode_mask
from moleflow.images.listing import list_images


def read_image(source: ImageSource, *, white: float | None) -> Image.Image:
    """An image as RGB of 8 bits.

    Args:
        source: the image, see `moleflow.images.decoding.decode`.
        white: the value that becomes 255 in images of more than 8 bits, see `moleflow.images.bit_depth.find_white`;
            values below 0 and above it are clipped. None for a product without such images; then 65535.

    Returns:
        The image, mode RGB.

    Raises:
        ImageError: it cannot be read, or `white` is None and its values do not tell it; the message names the file.
    """
    values = decode(source)
    if values.dtype != np.uint8:
        largest = values.max().item()
        if not has_white(values.dtype.name, largest, white):
            name = f"{source}: " if isinstance(source, str | Path) else ""
            raise ImageError(
                f"{name}values of {values.dtype} up to {largest:g} have no known white; save it as the normal images"
                " are, with 8 bits, or with 16 bits scaled up to 65535"
            )
        values = _of_8_bits(values, white or WHITE_16)
    return Image.fromarray(values)


def _of_8_bits(values: np.ndarray, white: float) -> np.ndarray:
    """Scales row by row: of a whole image, numbers of 64 bits would take a dozen times its memory."""
    scaled = np.empty(values.shape, np.uint8)
    for row, narrow in zip(values, scaled, strict=True):
        narrow[:] = np.clip(np.floor(row.astype(np.float64) * (255 / white) + 0.5), 0, 255)
    return scaled


def read_mask(path: Path, *, max_megapixels: float | None = None) -> Image.Image:
    """Decodes a mask completely, as 8-bit gray: 255 is defective, 0 is not.

    Every value but zero is defective, whether drawn as 255 (MVTec) or as the number of a kind of
    defect (VisA); in files with loss, whose zeros are noisy, every value above 127.

    Args:
        path: the mask, or a folder of several, of which a pixel of any counts.
        max_megapixels: larger files are refused; None for any size.

    Returns:
        The mask, mode L.

    Raises:
        ImageError: missing, unreadable or truncated, or a folder without masks or with masks of several sizes; the
            message names the file.
    """
    parts = {
        part: decode_mask(part, max_megapixels=max_megapixels)
        for part in (list_images(path) if path.is_dir() else [path])
    }
    if not parts:
        raise ImageError(f"{path} holds no masks; add them or remove the folder")
    (first, marked), *others = parts.items()
    for part, more in others:
        if more.shape != marked.shape:
            raise ImageError(f"{part} has another size than {first}; masks of one image must have one size")
        marked = marked | more
    return Image.fromarray(np.where(marked, np.uint8(255), np.uint8(0)))


def _stretch(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    return image.resize((size, size), resample)


def _crop(image: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), resample, box=(left, top, left + side, top + side))


RESIZES: dict[str, Callable[[Image.Image, int, Image.Resampling], Image.Image]] = {"stretch": _stretch, "crop": _crop}


def image_pixels(source: ImageSource, size: int, resize: str, *, white: float | None) -> np.ndarray:
    """Reads an image in the backbone's view.

    Args:
        source: the image, see `read_image`.
        size: side in pixels.
        resize: "stretch" changes the aspect ratio, "crop" takes the central square.
        white: as for `read_image`.

    Returns:
        RGB values 0..255, (3, size, size), uint8.

    Raises:
        ChoiceError: `resize` is unknown.
        ImageError: the image cannot be read.
    """
    fitted = choose(RESIZES, resize, "resize")(read_image(source, white=white), size, Image.Resampling.BICUBIC)
    return np.asarray(fitted).transpose(2, 0, 1)


def rotated(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Turns a view about its center; the corners that come in are filled by mirroring, not with black.

    Args:
        pixels: the view, (3, S, S), or a mask in it, (S, S).
        degrees: angle, counterclockwise; 0 leaves all as it is.

    Returns:
        The turned view or mask, of the same shape and type.
    """
    if not degrees:
        return pixels
    turned: np.ndarray = rotate(pixels, degrees, axes=(-1, -2), reshape=False, order=1, mode="mirror")
    return turned


def mask_pixels(path: Path, size: int, resize: str, degrees: float = 0.0) -> np.ndarray:
    """Reads a mask in the same view, binarized at one half at the end; a region that would vanish keeps a pixel.

    Args:
        path: the mask.
        size: side in pixels.
        resize: as for `image_pixels`.
        degrees: by how much the view is turned, counterclockwise.

    Returns:
        True where defective, (size, size), bool.

    Raises:
        ChoiceError: `resize` is unknown.
        ImageError: the mask cannot be read.
    """
    fit, mask = choose(RESIZES, resize, "resize"), read_mask(path)
    marked = rotated(np.asarray(fit(mask, size, Image.Resampling.BILINEAR)), degrees) > 127
    whole = np.asarray(fit(Image.fromarray(np.asarray(mask, np.float32)), size, Image.Resampling.BOX))
    share = rotated(whole, degrees)
    regions, count = label(share > 0, np.ones((3, 3)))  # of all pixels that anything defective falls into
    kept = np.unique(regions[marked])
    for region in np.setdiff1d(np.arange(1, count + 1), kept):
        most = np.where(regions == region, share, -1).argmax()
        marked.reshape(-1)[most] = True
    return marked
