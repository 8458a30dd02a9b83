"""Reading images and masks, and bringing both to the backbone's view."""

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import label, rotate

from moleflow.config.errors import MoleflowError
from moleflow.config.registry import choose

ImageSource = str | Path | Image.Image | np.ndarray
"""An image as a path, as Pillow's, or as an array; see `read_image`."""

# Pillow opens these, but needs another program to decode them.
UNDECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}  # what systems leave in folders, beside hidden files
ORIENTATION = 0x0112  # of EXIF: how a picture is to be turned before it is shown


class ImageError(MoleflowError):
    """An image or mask cannot be read."""


@cache
def image_suffixes() -> frozenset[str]:
    """Suffixes, in lower case, of the files that can be read as images."""
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in Image.OPEN and kind not in UNDECODED)


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is hidden, or one that a system leaves in folders.

    Args:
        path: its path; only its name counts.

    Returns:
        True if nobody would look for images there.
    """
    return path.name.startswith(".") or path.name.casefold() in SYSTEM_FILES


def list_files(folder: Path) -> list[Path]:
    """Lists the files of a folder and of the folders below it, hidden ones apart.

    Args:
        folder: the folder.

    Returns:
        Their paths, sorted; none if the folder does not exist.
    """
    found: list[Path] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not is_hidden(path):
            found += list_files(path) if path.is_dir() else [path]
    return found


def list_images(folder: Path) -> list[Path]:
    """Lists the image files of a folder and of the folders below it, hidden ones apart.

    Args:
        folder: the folder.

    Returns:
        Their paths, sorted; none if the folder does not exist.
    """
    return [path for path in list_files(folder) if path.suffix.lower() in image_suffixes()]


def read_image(source: ImageSource) -> Image.Image:
    """An image as RGB, decoded completely: gray is repeated, transparency left out, 16 bits become 8.

    Args:
        source: path of a file, or an image that is decoded already: Pillow's, or an array (H, W), (H, W, 1), (H, W, 3)
            or (H, W, 4) of uint8, or (H, W) of uint16.

    Returns:
        The image, mode RGB.

    Raises:
        ImageError: missing, unreadable, truncated, or of a number format without a known range; the
            message names the file.
    """
    if isinstance(source, str | Path):
        return _decoded(Path(source), _as_rgb)
    if isinstance(source, np.ndarray):
        source = _of_array(source)
    try:
        return _as_rgb(source)
    except (OSError, SyntaxError, ValueError, AttributeError, AssertionError) as error:  # the last two if it is closed
        raise ImageError(f"not a readable image ({str(error) or 'it is closed'}); replace it") from error


def _of_array(pixels: np.ndarray) -> Image.Image:
    gray = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1)
    right = (gray and pixels.dtype in (np.uint8, np.uint16)) or (
        pixels.ndim == 3 and pixels.shape[2] in (3, 4) and pixels.dtype == np.uint8
    )
    if not right or not pixels.size:
        raise ImageError(
            f"an array {pixels.shape} of {pixels.dtype} is no image; give (H, W), (H, W, 3) or (H, W, 4) of uint8, or "
            "(H, W) of uint16"
        )
    return Image.fromarray(np.ascontiguousarray(pixels.reshape(pixels.shape[:2]) if gray else pixels))


def read_mask(path: Path) -> Image.Image:
    """Decodes a mask completely, as 8-bit gray: 255 is defective, 0 is not.

    Every value but zero is defective, whether drawn as 255 (MVTec) or as the number of a kind of
    defect (VisA); in a JPEG, whose zeros are noisy, every value above 127.

    Args:
        path: the mask, or a folder of several, of which a pixel of any counts.

    Returns:
        The mask, mode L.

    Raises:
        ImageError: missing, unreadable or truncated, or a folder without masks or with masks of several sizes; the
            message names the file.
    """
    if not path.is_dir():
        return _decoded(path, _as_mask)
    masks = {part: _decoded(part, _as_mask) for part in list_images(path)}
    if not masks:
        raise ImageError(f"{path} holds no masks; add them or remove the folder")
    whole, *others = masks.items()
    for part, mask in others:
        if mask.size != whole[1].size:
            raise ImageError(f"{part} has another size than {whole[0]}; masks of one image must have one size")
    return Image.fromarray(np.maximum.reduce([np.asarray(mask) for mask in masks.values()]))


def _decoded(path: Path, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    try:
        with Image.open(path) as image:
            return convert(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: not a readable image ({error}); replace the file or remove it") from error


def _upright(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it: turned and mirrored as its EXIF orientation says."""
    image.load()
    try:
        turn = TRANSPOSES.get(image.getexif().get(ORIENTATION, 1))
    except (OSError, SyntaxError, TypeError, ValueError, struct.error):  # broken metadata turn nothing
        turn = None
    return image if turn is None else image.transpose(turn)


TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _as_rgb(image: Image.Image) -> Image.Image:
    transparent = "transparency" in image.info
    image = _upright(image)
    if image.mode in ("I", "F"):
        raise ValueError("32-bit values have no known white; save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        pixels = np.asarray(image)
        if pixels.max() < 4096:
            raise ValueError("its 16-bit values use a sixteenth of their range at most; scale them up to 65535")
        image = Image.fromarray((pixels >> 8).astype(np.uint8))
    if transparent:
        image = image.convert("RGBA")  # Pillow warns of transparency that it drops on the direct way
    return image.convert("RGB")


def _as_mask(image: Image.Image) -> Image.Image:
    noisy, transparent = image.format == "JPEG", "transparency" in image.info
    image = _upright(image)
    if image.mode == "P":
        image = image.convert("RGBA" if transparent else "RGB")
    bands = np.asarray(image).reshape(image.height, image.width, -1)
    marked = (bands > 127 if noisy else bands != 0)[..., : 3 if bands.shape[2] > 2 else 1].any(2)
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


def image_pixels(source: ImageSource, size: int, resize: str) -> np.ndarray:
    """Reads an image in the backbone's view.

    Args:
        source: the image, see `read_image`.
        size: side in pixels.
        resize: "stretch" changes the aspect ratio, "crop" takes the central square.

    Returns:
        RGB values 0..255, (3, size, size), uint8.

    Raises:
        ChoiceError: `resize` is unknown.
        ImageError: the image cannot be read.
    """
    fitted = choose(RESIZES, resize, "resize")(read_image(source), size, Image.Resampling.BICUBIC)
    return np.asarray(fitted).transpose(2, 0, 1)


def rotated(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Turns a view about its center; the corners that come in are filled by mirroring, not with black.

    Args:
        pixels: the view, (3, S, S), uint8.
        degrees: angle, counterclockwise.

    Returns:
        The turned view, (3, S, S), uint8.
    """
    turned: np.ndarray = rotate(pixels, degrees, axes=(2, 1), reshape=False, order=1, mode="mirror")
    return turned


def mask_pixels(path: Path, size: int, resize: str) -> np.ndarray:
    """Reads a mask in the same view, binarized at one half after resizing; a region that would vanish keeps a pixel.

    Args:
        path: the mask.
        size: side in pixels.
        resize: as for `image_pixels`.

    Returns:
        True where defective, (size, size), bool.

    Raises:
        ChoiceError: `resize` is unknown.
        ImageError: the mask cannot be read.
    """
    fit, mask = choose(RESIZES, resize, "resize"), read_mask(path)
    marked = np.array(fit(mask, size, Image.Resampling.BILINEAR)) > 127
    share = np.asarray(fit(Image.fromarray(np.asarray(mask, np.float32)), size, Image.Resampling.BOX))
    regions, count = label(share > 0, np.ones((3, 3)))  # of all pixels that anything defective falls into
    kept = np.unique(regions[marked])
    for region in np.setdiff1d(np.arange(1, count + 1), kept):
        most = np.where(regions == region, share, -1).argmax()
        marked.reshape(-1)[most] = True
    return marked
