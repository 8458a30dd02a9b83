"""What was found in an image, in the image's own pixels: a map of values, a mask, a picture with both laid over."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion

from moleflow.config.errors import MoleflowError
from moleflow.config.registry import choose
from moleflow.files.artifacts import require_writable, written_whole
from moleflow.inspector import Inspection, Inspector

OUTLINE = (0, 255, 255)
SEEN = {  # by `resize`: the part of an image of some width and height that the backbone sees: left, top, width, height
    "stretch": lambda width, height: (0, 0, width, height),
    "crop": lambda width, height: (
        ((width - min(width, height)) // 2, (height - min(width, height)) // 2) + (min(width, height),) * 2
    ),
}


def in_image(anomaly_map: np.ndarray, size: tuple[int, int], resize: str) -> np.ndarray:
    """An anomaly map in the pixels of its image.

    Args:
        anomaly_map: in pixels of the backbone's view, (S, S).
        size: width and height of the image, upright, in pixels.
        resize: how the image was brought to the view, a name in `SEEN`.

    Returns:
        The map, (height, width), float32; 0 where the view does not reach.

    Raises:
        ChoiceError: `resize` is unknown.
    """
    left, top, width, height = choose(SEEN, resize, "resize")(*size)
    seen = Image.fromarray(anomaly_map.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    whole = np.zeros(size[::-1], np.float32)
    whole[top : top + height, left : left + width] = np.asarray(seen)
    return whole


def marked(values: np.ndarray, inspection: Inspection) -> np.ndarray:
    """The pixels above the pixel threshold.

    Args:
        values: the map in the image's pixels, (H, W).
        inspection: what it is of.

    Returns:
        (H, W), bool.
    """
    above: np.ndarray = values > inspection.pixel_threshold
    return above


def overlay(image: Image.Image, values: np.ndarray, inspection: Inspection) -> Image.Image:
    """An image under its anomaly map, with an outline around what is marked.

    Args:
        image: the image, RGB.
        values: the map in the image's pixels, (H, W).
        inspection: what it is of.

    Returns:
        The picture, RGB, of the image's size. The map's colors begin where a pixel is half as anomalous as a marked one
        and are brightest at twice that.
    """
    from moleflow.report.pictures import heat_colors  # takes a second to import, for outlines that are not drawn here

    scale = inspection.pixel_threshold if np.isfinite(inspection.pixel_threshold) else max(float(values.max()), 1e-6)
    heat = np.clip((values / scale - 0.5) / 1.5, 0, 1)
    colors, weight = heat_colors(heat), 0.6 * np.minimum(1, 4 * heat)[..., None]
    pixels = (1 - weight) * np.asarray(image, np.float32) + weight * colors
    found = marked(values, inspection)
    thick = max(1, round(max(values.shape) / 400))
    pixels[found & ~binary_erosion(found, iterations=thick)] = OUTLINE
    return Image.fromarray(pixels.round().astype(np.uint8))


Files = dict[Path, dict[str, Path]]
"""By image the files to write of it, by what they show: map, overlay, mask."""


class PicturesError(MoleflowError):
    """Pictures would replace images, or each other, or cannot be written."""


def planned_files(images: list[Path], *, maps: Path | None, masks: Path | None) -> Files:
    """Plans all files.

    Args:
        images: all images that will be judged.
        maps: folder for maps as .npy, float32, and laid over the image as .png; None for none.
        masks: folder for masks as .png, 255 where pixels are marked; None for none.

    Returns:
        The files by image; none without a folder.

    Raises:
        PicturesError: a file would replace an image, or one of another image.
        ArtifactError: a file cannot be written where it should lie.
    """
    if maps is None and masks is None:
        return {}
    files = {
        image: {
            **({"map": beside(maps / name, ".npy"), "overlay": beside(maps / name, ".png")} if maps else {}),
            **({"mask": beside(masks / name, ".png")} if masks else {}),
        }
        for image, name in file_names(images).items()
    }
    planned = Counter(os.path.abspath(file) for own in files.values() for file in own.values())
    planned.update(os.path.abspath(image) for image in images)
    twice = [file for file, count in planned.items() if count > 1]
    if twice:
        raise PicturesError(f"{twice[0]} is an image, or would be written twice; choose other folders for pictures")
    for file in (file for own in files.values() for file in own.values()):
        require_writable(file)
    return files


class Pictures:
    """Writes what was found in images, below the folder that they share as they lie there."""

    def __init__(self, inspector: Inspector, files: Files) -> None:
        """Keeps what is planned.

        Args:
            inspector: who judges.
            files: from `planned_files`.
        """
        self.inspector, self.files = inspector, files

    def save(self, image: Path, product: str | None, inspection: Inspection) -> None:
        """Writes the files of an image, each whole or not at all.

        Args:
            image: one of the images.
            product: the product that was given; None if the image was routed.
            inspection: what was found.

        Raises:
            ImageError: the image cannot be read any more.
            PicturesError: a file cannot be written.
        """
        try:
            self._save(image, product, inspection)
        except OSError as error:
            raise PicturesError(f"pictures of {image} cannot be written ({error}); make room for them") from error

    def _save(self, image: Path, product: str | None, inspection: Inspection) -> None:
        picture = self.inspector.read(image, product)
        values = in_image(inspection.anomaly_map, picture.size, self.inspector.resize)
        files = self.files[image]
        if "map" in files:
            with written_whole(files["map"]) as partial, partial.open("wb") as file:
                np.save(file, values)
            _save(files["overlay"], overlay(picture, values, inspection))
        if "mask" in files:
            shown = np.where(marked(values, inspection), np.uint8(255), np.uint8(0))
            _save(files["mask"], Image.fromarray(shown))


def file_names(images: list[Path]) -> dict[Path, Path]:
    """What to call what belongs to images: as they lie below the folder that all of them share.

    Args:
        images: their paths.

    Returns:
        By image a relative path without suffix; with the image's own where two images would share it.
    """
    whole = {image: Path(os.path.abspath(image)) for image in images}
    shared = os.path.commonpath([path.parent for path in whole.values()])
    places = {image: path.relative_to(shared) for image, path in whole.items()}
    stems = Counter(place.with_suffix("") for place in places.values())
    return {
        image: place if stems[place.with_suffix("")] > 1 else place.with_suffix("") for image, place in places.items()
    }


def beside(path: Path, suffix: str) -> Path:
    """A path with one more suffix.

    Args:
        path: the path.
        suffix: the suffix.

    Returns:
        The longer path.
    """
    return path.with_name(path.name + suffix)


def _save(path: Path, picture: Image.Image) -> None:
    with written_whole(path) as partial:
        picture.save(partial, "PNG")
