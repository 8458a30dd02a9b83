"""Orientation: turning a view before the backbone, as its own pixels say, and turning back what is found in it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import rotate
from skimage.filters import threshold_otsu

from moleflow.config.registry import choose
from moleflow.images.decoding import ImageSource
from moleflow.images.reading import image_pixels, rotated

SMALL = 64  # pixels per side, enough to tell an axis to a fraction of a degree and too few to see texture
SMALLEST = 0.01  # share of the view; a speck of dirt is no object
BORDER = 0.05  # share of the view's border that an object may touch: a texture's foreground lies everywhere
ELONGATION = 1.5  # long axis by short axis; the axis of something rounder would follow its noise
SYMMETRY = 0.05  # in the units of both moments below, under which the two ends count as alike


def _upright(pixels: np.ndarray) -> float:
    return 0.0


def principal_axis(pixels: np.ndarray) -> float:
    """The turn that lays the long axis of a view's object along its rows, the longer tail to the right.

    The foreground is what differs from the median of the border by more than Otsu's threshold. Where that is no object
    by `SMALLEST`, `BORDER` and `ELONGATION` nothing is turned. One end of the axis is told from the other by the third
    moment of the outline; if that is about 0, by where the object differs more from the border; if that is too, the
    smaller turn is taken. A gleam or a shadow so moves neither the axis nor, on most objects, the end.

    Args:
        pixels: the view, (3, S, S), uint8.

    Returns:
        The angle in degrees, counterclockwise, in [−180, 180].

    Source: Otsu, "A threshold selection method from gray-level histograms", 1979; Hu, "Visual pattern recognition by
        moment invariants", 1962, for the axis; the lab diary for the idea.
    """
    small = Image.fromarray(pixels.transpose(1, 2, 0)).resize((SMALL, SMALL), Image.Resampling.BOX)
    values = np.asarray(small, np.float64)
    border = np.ones((SMALL, SMALL), bool)
    border[1:-1, 1:-1] = False
    distance = np.linalg.norm(values - np.median(values[border], axis=0), axis=2)
    found = distance > threshold_otsu(distance)
    if found.mean() < SMALLEST or found[border].mean() > BORDER:
        return 0.0
    rows, columns = np.nonzero(found)
    places = np.stack([columns - columns.mean(), rows.mean() - rows])  # to the right and up, (2, n)
    (short, long), axes = np.linalg.eigh(places @ places.T / len(rows))
    if long < ELONGATION**2 * short:
        return 0.0
    axis = axes[:, 1]
    along = axis @ places / np.sqrt(long)
    moments = ((along**3).mean(), -(along * distance[found]).mean() / distance[found].mean())
    tail = next((moment for moment in moments if abs(moment) >= SYMMETRY), axis[0])
    right, up = axis if tail >= 0 else -axis
    return -float(np.degrees(np.arctan2(up, right)))


# A member takes a view, (3, S, S), uint8, and returns by how many degrees to turn it, counterclockwise. It may look at
# nothing else: every stage and the inspector ask it again.
ORIENTERS: dict[str, Callable[[np.ndarray], float]] = {"none": _upright, "principal_axis": principal_axis}


def turn_of(pixels: np.ndarray, orient: str) -> float:
    """By how much a view is turned before the backbone.

    Args:
        pixels: the view, (3, S, S), uint8.
        orient: name in `ORIENTERS`.

    Returns:
        The angle in degrees, counterclockwise; 0 leaves the view as it is.

    Raises:
        ChoiceError: `orient` is unknown.
    """
    return choose(ORIENTERS, orient, "orient")(pixels)


def oriented(pixels: np.ndarray, orient: str) -> np.ndarray:
    """A view as the backbone sees it.

    Args:
        pixels: the view, (3, S, S), uint8.
        orient: name in `ORIENTERS`.

    Returns:
        The turned view, (3, S, S), uint8.

    Raises:
        ChoiceError: `orient` is unknown.
    """
    return rotated(pixels, turn_of(pixels, orient))


def turned_back(values: np.ndarray, degrees: float) -> np.ndarray:
    """Values of a turned view in the frame of the view as it was.

    Args:
        values: a map of the turned view, (S, S), float32.
        degrees: by how much the view was turned, counterclockwise.

    Returns:
        The map, (S, S), float32; the smallest of its values where the turned view does not reach.
    """
    if not degrees:
        return values
    outside = {"mode": "constant", "cval": values.min()}
    back: np.ndarray = rotate(values, -degrees, reshape=False, order=1, axes=(-1, -2), **outside)
    return back


@dataclass(frozen=True)
class View:
    """How a product's images came before the backbone, for those who lay masks and maps over them later.

    Attributes:
        resize: see `image_pixels`.
        orient: name in `ORIENTERS`.
        side: pixels of the view that the backbone saw, by which a turn is found; of no meaning if nothing is turned.
    """

    resize: str
    orient: str = "none"
    side: int = 0

    def turn(self, source: ImageSource, *, white: float | None) -> float:
        """By how much an image was turned; it is read only if some are.

        Args:
            source: the image, see `moleflow.images.reading.read_image`.
            white: as there.

        Returns:
            The angle in degrees, counterclockwise.

        Raises:
            ChoiceError: `resize` or `orient` is unknown.
            ImageError: the image cannot be read.
        """
        if self.orient == "none":
            return 0.0
        return turn_of(image_pixels(source, self.side, self.resize, white=white), self.orient)
