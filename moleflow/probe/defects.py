"""Synthetic defects for the probe: painted on calibration images, so choosing by them needs no test label.

Three kinds add something (cut_paste, scar, blob); four subtle ones take something away (darken,
fade, blur, erase), because a density may find less structure more likely.

Source: Li et al., "CutPaste: Self-Supervised Learning for Anomaly Detection and Localization", CVPR
2021, section 2.2, for cut_paste and scar; Zavrtanik et al., "DRAEM", ICCV 2021, section 3.3, for
blended foreign texture.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.draw import polygon

from moleflow.config.registry import choose

SIZES = (0.03, 0.06, 0.12)  # radius of a region, or a quarter of the length of a scar, as a fraction of the side


def _place(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Row and column of a random pixel, (2,), drawn by the contrast around it: on the product, not beside it."""
    size = len(pixels)
    gray, scale = pixels.mean(2), size / 40
    variance = gaussian_filter(gray**2, scale) - gaussian_filter(gray, scale) ** 2
    contrast = np.sqrt(np.maximum(variance, 0)) + 1e-3  # in an image without any, every pixel is as likely
    inner = np.zeros_like(contrast)
    margin = size // 12
    inner[margin : size - margin, margin : size - margin] = 1
    weight = (contrast * inner).ravel()
    return np.array(divmod(rng.choice(weight.size, p=weight / weight.sum()), size))


def _irregular(pixels: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """A rounded region whose outline is made uneven by smooth noise, (S, S) bool."""
    size = len(pixels)
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    outline = gaussian_filter(rng.normal(size=90), 6, mode="wrap")
    radii = max(2.0, radius * size) * (1 + 0.5 * outline / np.abs(outline).max())
    row, column = _place(pixels, rng)
    return _filled(row + radii * np.sin(angles), column + radii * np.cos(angles), size)


def _line(pixels: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """A thin turned rectangle, (S, S) bool."""
    size = len(pixels)
    angle, (row, column) = rng.uniform(0, np.pi), _place(pixels, rng)
    along = 2 * radius * size * np.array([-1, 1, 1, -1])
    across = max(1.0, rng.uniform(0.01, 0.02) * size) * np.array([-1, -1, 1, 1])
    rows = row + along * np.sin(angle) + across * np.cos(angle)
    return _filled(rows, column + along * np.cos(angle) - across * np.sin(angle), size)


def _filled(rows: np.ndarray, columns: np.ndarray, size: int) -> np.ndarray:
    region = np.zeros((size, size), bool)
    region[polygon(rows, columns, shape=region.shape)] = True
    return region


# A painter takes an image (S, S, 3) with values 0..255, the region and a generator, and returns what
# to show inside the region, (S, S, 3).


def _elsewhere(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image itself, moved and turned by a quarter."""
    shift = rng.integers(len(image) // 4, 3 * len(image) // 4, 2)
    return np.rot90(np.roll(image, shift, (0, 1)), int(rng.integers(1, 4)))


def _recolored(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another part of the image, clearly brighter or darker."""
    return _elsewhere(image, region, rng) * rng.choice([0.5, 1.6])


def _foreign(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half the image, half a gray noise of two scales."""
    noise = sum(gaussian_filter(rng.normal(size=region.shape), scale) * scale for scale in (1.0, 4.0))
    return 0.5 * image + 0.5 * (rng.uniform(60, 200) + 100 * noise)[..., None]


def _darkened(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return image * rng.uniform(0.4, 0.7)


def _faded(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast around the region's own mean, reduced."""
    mean = image[region].mean(0)
    return mean + (image - mean) * rng.uniform(0.2, 0.5)


def _blurred(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sigma = rng.uniform(0.01, 0.02) * len(image)
    return gaussian_filter(image, (sigma, sigma, 0))


def _erased(image: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The surroundings, continued smoothly over the region."""
    sigma = max(2.0, np.sqrt(region.sum() / np.pi))
    outside = (~region)[..., None].astype(float)
    weight = gaussian_filter(outside, (sigma, sigma, 0))
    return gaussian_filter(image * outside, (sigma, sigma, 0)) / np.maximum(weight, 1e-6)


Shape = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
Painter = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]

DEFECTS: dict[str, tuple[Shape, Painter]] = {
    "cut_paste": (_irregular, _elsewhere),
    "scar": (_line, _recolored),
    "blob": (_irregular, _foreign),
    "darken": (_irregular, _darkened),
    "fade": (_irregular, _faded),
    "blur": (_irregular, _blurred),
    "erase": (_irregular, _erased),
}


def paint(image: np.ndarray, kind: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Paints a defect on an image; the same arguments give the same defect.

    Args:
        image: normal image, (3, S, S), uint8.
        kind: name in `DEFECTS`.
        number: seeds the defect; its size changes with every number.

    Returns:
        The defective image, (3, S, S) uint8, and its mask, (S, S) bool.

    Raises:
        ChoiceError: the kind is unknown.
    """
    shape, painter = choose(DEFECTS, kind, "probe_defects")
    rng = np.random.default_rng([number, *kind.encode()])
    pixels = image.transpose(1, 2, 0).astype(float)
    region = shape(pixels, SIZES[number % len(SIZES)], rng)
    edge = gaussian_filter(region.astype(float), 1.0)[..., None]  # a hard border would give it away
    mixed = (1 - edge) * pixels + edge * painter(pixels, region, rng)
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8).transpose(2, 0, 1), region
