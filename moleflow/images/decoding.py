"""From a file to the values of its pixels, all bits of them, turned as a viewer shows them."""

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from moleflow.config.errors import MoleflowError

ImageSource = str | Path | Image.Image | np.ndarray
"""An image as a path, as Pillow's, or as an array; see `decode`."""

BITS = 0x0102  # of TIFF: bits of a value, for every channel
ORIENTATION = 0x0112  # of TIFF and EXIF: how a picture is to be turned before it is shown
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda values: values[:, ::-1],
    3: lambda values: values[::-1, ::-1],
    4: lambda values: values[::-1],
    5: lambda values: values.transpose(1, 0, 2),
    6: lambda values: np.rot90(values, -1),
    7: lambda values: values[::-1, ::-1].transpose(1, 0, 2),
    8: lambda values: np.rot90(values),
}
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_MEGAPIXELS = 200.0
COLOR = ("RGB", "RGBA", "LA", "CMYK")  # modes of Pillow with 8 bits a value
FEW = 3  # values of a mask without loss, where one of them is bright; with more its zeros are noisy
# What Pillow and imagecodecs raise for files that they cannot read.
BROKEN = (OSError, SyntaxError, ValueError, TypeError, RuntimeError, EOFError, struct.error)

# Pillow's own limit is the same for all users of a process; ours is an argument.
Image.MAX_IMAGE_PIXELS = None


class ImageError(MoleflowError):
    """An image or mask cannot be read."""


def decode(source: ImageSource, *, max_megapixels: float | None = None) -> np.ndarray:
    """The values of an image's pixels, decoded completely: gray is repeated, transparency left out.

    Args:
        source: path of a file, or an image that is decoded already: Pillow's, or an array (H, W), (H, W, 1), (H, W, 3)
            or (H, W, 4) of integers or floating point.
        max_megapixels: larger images are refused, files before they are decoded; None for any size.

    Returns:
        (H, W, 3): uint8 for images of up to 8 bits a value, whose white is 255; any other integers or floating point
        otherwise, whose white is not known.

    Raises:
        ImageError: missing, unreadable, truncated, too large, or values that are not numbers; the message names the
            file.
    """
    if isinstance(source, str | Path):
        return _of_file(Path(source), max_megapixels, _values)
    try:
        if isinstance(source, np.ndarray):
            _require_small(math.prod(source.shape[:2]), max_megapixels)
            return _of_array(source)
        return _of_image(source, max_megapixels)
    except (*BROKEN, AttributeError, AssertionError) as error:  # the last two if Pillow's image is closed
        raise ImageError(f"not a readable image ({str(error) or 'it is closed'}); replace it") from error


def decode_mask(path: Path, *, max_megapixels: float | None = None) -> np.ndarray:
    """What a mask's file marks: every value but zero; where zeros are noisy, as in a JPEG, every value above 127.

    Args:
        path: the mask.
        max_megapixels: as for `decode`.

    Returns:
        True where marked, (H, W), bool; nothing is where the mask is transparent.

    Raises:
        ImageError: as `decode`.
    """
    return _of_file(path, max_megapixels, _marked)[..., 0]


def frames(path: Path) -> int:
    """How many pictures a file holds, of which `decode` reads the first: pages of a TIFF, frames of an animation.

    Args:
        path: a file that `decode` reads.

    Returns:
        Their number; 1 for JPEG, whose others are previews.

    Raises:
        ImageError: the file ends before its last picture; the message names it.
    """
    try:
        if _is_tiff(path):
            import tifffile

            with tifffile.TiffFile(path) as file:
                return len(file.pages)
        with path.open("rb") as opened, Image.open(opened) as image:
            return 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    except Exception as error:  # of many kinds, where the file is broken
        reason = str(error) or type(error).__name__
        raise ImageError(f"{path}: not a readable image ({reason}); replace the file or remove it") from error


def load(image: Image.Image, max_megapixels: float | None = None) -> None:
    """Decodes an image of Pillow's that is still a file: several threads must not do so at once.

    Args:
        image: the image.
        max_megapixels: larger ones are refused before; None for any size.

    Raises:
        ImageError: it is too large, or Pillow would cut its values to 8 bits.
        OSError, ValueError, ...: as Pillow raises them for files that it cannot read.
    """
    _require_small(image.width * image.height, max_megapixels)
    if _is_cut(image):
        raise ImageError("Pillow keeps 8 of the 16 bits of its colors; give the path of the file, or an array")
    name = getattr(image, "filename", "")
    if name and image.format == "TIFF":  # with a name it is mapped into memory, and its sides are mixed up when turned
        image.filename = ""  # type: ignore[attr-defined]
        image.load()
        image.filename = name  # type: ignore[attr-defined]
    image.load()


def _of_file(path: Path, limit: float | None, read: Callable[[Path, Any, float | None], np.ndarray]) -> np.ndarray:
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        try:
            with path.open("rb") as opened, Image.open(opened) as image:
                _require_small(image.width * image.height, limit)
                _require_undamaged(opened, image)
                return read(path, image, limit)
        except UnidentifiedImageError:
            if not _is_tiff(path):
                raise
            return read(path, None, limit)  # a kind of TIFF that Pillow does not know
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except BROKEN as error:
        raise ImageError(f"{path}: not a readable image ({error}); replace the file or remove it") from error


def _require_small(pixels: int, limit: float | None) -> None:
    if limit is not None and pixels > 1e6 * limit:
        raise ImageError(
            f"{pixels / 1e6:.1f} megapixels, more than max_megapixels ({limit:g}); raise it or cut the image"
        )


def _require_undamaged(file: BinaryIO, image: Image.Image) -> None:
    """Compares the checksums of a PNG, which Pillow does not look at where it decodes: a damaged end would be read."""
    if image.format == "PNG":
        Image.open(file).verify()  # of a second image, since this one cannot be decoded any more


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in TIFF


def _values(path: Path, image: Any, limit: float | None) -> np.ndarray:
    deep = _deep_bands(path, image, limit)
    return _of_image(image) if deep is None else _three(deep)


def _marked(path: Path, image: Any, limit: float | None) -> np.ndarray:
    bands, alpha = _deep_bands(path, image, limit), True
    noisy: bool | None = False
    turn = 1  # of deep bands: they are turned already
    if bands is None:
        image.load()
        turn, noisy = _turn_of(image), _is_noisy(image)
        if "transparency" in image.info:
            image = image.convert("RGBA")
        elif image.mode not in ("1", "L", "LA", "RGB", "RGBA", "I", "I;16", "I;16B", "F"):
            image = image.convert("RGB")  # what a palette or inks show counts, not their numbers
        alpha = image.mode in ("LA", "RGBA")
        bands = np.asarray(image).reshape(image.height, image.width, -1)
    channels = bands.shape[2]
    colors = bands[..., : 3 if channels > 2 else 1]
    _require_numbers(colors)
    if noisy is None:
        noisy = colors.max() > 127 and len(np.unique(colors)) > FEW
    marked = np.any(colors > 127 if noisy else colors != 0, axis=2, keepdims=True)
    if alpha and channels in (2, 4):
        marked &= bands[..., -1:] > 0
    return _turned(marked, turn)


def _is_noisy(image: Image.Image) -> bool | None:
    """Whether zeros are noisy in a file; None if its format can be with loss and without."""
    if image.format in ("JPEG", "MPO") or image.info.get("compression") == "jpeg":
        return True
    return None if image.format in ("WEBP", "AVIF", "JPEG2000") else False


def _of_image(image: Image.Image, limit: float | None = None) -> np.ndarray:
    """Values of an image of Pillow's, read from a file by it or made by a program."""
    load(image, limit)
    turn, form = _turn_of(image), image.format
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)
        return _turned(_three(values.astype(np.uint16) if form == "PPM" and image.mode == "I" else values), turn)
    if "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of transparency that it drops on the direct way
    return _turned(np.asarray(image.convert("RGB")), turn)


def _of_array(values: np.ndarray) -> np.ndarray:
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.ndim not in (2, 3) or channels not in (1, 3, 4) or values.dtype.kind not in "uif" or not values.size:
        raise ImageError(
            f"an array {values.shape} of {values.dtype} is no image; give (H, W), (H, W, 3) or (H, W, 4) of integers "
            "or floating point"
        )
    return _three(values)


def _deep_bands(path: Path, image: Any, limit: float | None) -> np.ndarray | None:
    """Bands of a file that holds more than 8 bits a value, and which Pillow would cut or misread; None of others.

    (H, W, C), turned, alpha the last of two or four.
    """
    if image is None or (image.format == "TIFF" and np.max(image.tag_v2.get(BITS, 1)) > 8):
        return _of_tiff(path, limit)
    if image.format == "JPEG2000" and image.mode in ("I;16", *COLOR):  # Pillow scales gray of 12 bits up
        import imagecodecs

        bands = imagecodecs.jpeg2k_decode(path.read_bytes())
        return None if bands.dtype == np.uint8 else _turned(_bands(bands), _turn_of(image))
    if not _is_cut(image):
        return None
    if image.format == "PNG":
        import imagecodecs

        return _turned(_bands(imagecodecs.png_decode(path.read_bytes())), _turn_of(image))
    if image.format == "PPM" and image.tile[0].codec_name == "ppm":
        _, white = image.tile[0].args
        raw = np.frombuffer(path.read_bytes(), ">u2", 3 * image.width * image.height, image.tile[0].offset)
        scaled = raw.astype(np.uint32) * 65535 // white  # as Pillow does for gray
        return scaled.astype(np.uint16).reshape(image.height, image.width, 3)
    raise ImageError("more than 8 bits a value are not read from this format; save it as PNG or TIFF")


def _is_cut(image: Any) -> bool:
    """Whether Pillow would keep 8 bits of the file's 16 for each value."""
    if image.mode not in ("L", *COLOR):
        return False
    for tile in getattr(image, "tile", ()):
        given = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if tile.codec_name == "SGI16" or (tile.codec_name.startswith("ppm") and given[-1] > 255):
            return True
        if any(isinstance(each, str) and ";16" in each for each in given):
            return True
    return False


def _of_tiff(path: Path, limit: float | None) -> np.ndarray:
    """The first page of a TIFF, by the library that knows all of them."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            _require_small(page.imagewidth * page.imagelength, limit)
            if not all(page.databytecounts):
                raise ValueError("a part of it is missing")
            kind, bits, orientation = page.photometric.name, page.bitspersample, page.tags.get(ORIENTATION)
            values = np.moveaxis(page.asarray(), 0, 2) if page.axes == "SYX" else page.asarray()
    except ImageError:
        raise
    except Exception as error:  # of many kinds, where the file is broken
        raise ValueError(str(error) or type(error).__name__) from error
    bands = _bands(values)
    known = {"MINISBLACK": "uif", "MINISWHITE": "u", "RGB": "uif"}
    counts = (3, 4) if kind == "RGB" else (1, 2)
    if bands.ndim != 3 or bands.shape[2] not in counts or values.dtype.kind not in known.get(kind, ""):
        raise ImageError(
            f"a TIFF of {kind.lower()}, {values.shape} of {values.dtype}, is not read; save it as gray or RGB"
        )
    if kind == "MINISWHITE":
        bands = (2**bits - 1 - bands[..., :1]).astype(values.dtype)
    return _turned(bands, 1 if orientation is None else int(orientation.value))


def _bands(values: np.ndarray) -> np.ndarray:
    return values[..., None] if values.ndim == 2 else values


def _three(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) of gray or color, transparency left out; refuses values that are not numbers."""
    bands = _bands(values)
    colors = bands[..., : 3 if bands.shape[2] > 2 else 1]
    _require_numbers(colors)
    return np.broadcast_to(colors, (*colors.shape[:2], 3)) if colors.shape[2] == 1 else colors


def _require_numbers(values: np.ndarray) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ImageError("it has values that are not numbers (NaN or infinite); replace them")


def _turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, C) as a viewer shows it."""
    return np.ascontiguousarray(TURNS.get(orientation, lambda same: same)(values))


def _turn_of(image: Image.Image) -> int:
    """How a picture is to be turned and mirrored before it is shown; Pillow turns a TIFF itself when it is loaded."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except BROKEN:  # broken metadata turn nothing
        return 1
