"""Harmless changes of normal images, for the probe: what camera, light and hand vary and no inspector minds.

A score that minds them raises false alarms in production although the held-out images, taken in one
session, do not show it.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from moleflow.choices import choose

# A member takes an image (S, S, 3) with values 0..255 and a generator, and returns the changed one.


def _exposure(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness by up to 5 %, contrast by up to 10 %."""
    mean = image.mean()
    return mean * rng.uniform(0.95, 1.05) + (image - mean) * rng.uniform(0.9, 1.1)


def _noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sensor's noise as reducing the image leaves it: 1 of 255 grey levels, alike in all colours."""
    return image + rng.normal(0, 1, (*image.shape[:2], 1))


def _focus(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurred by 0.4 to 0.7 pixels of a view of 224."""
    sigma = rng.uniform(0.4, 0.7) * len(image) / 224
    return gaussian_filter(image, (sigma, sigma, 0))


def _placement(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moved by up to 2 % of the side and turned by up to 2 degrees; the border is mirrored."""
    size, angle = len(image), np.deg2rad(rng.uniform(-2, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    middle = np.array([(size - 1) / 2, (size - 1) / 2, 0])
    move = np.append(rng.uniform(-0.02, 0.02, 2) * size, 0)
    return affine_transform(image, turn, middle - turn @ middle + move, order=1, mode="mirror")


NUISANCES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "exposure": _exposure,
    "noise": _noise,
    "focus": _focus,
    "placement": _placement,
}


def vary(image: np.ndarray, kind: str, number: int) -> np.ndarray:
    """Changes a normal image harmlessly; the same arguments give the same image.

    Args:
        image: normal image, (3, S, S), uint8.
        kind: name in `NUISANCES`.
        number: seeds the change.

    Returns:
        The changed image, (3, S, S) uint8.
    """
    change = choose(NUISANCES, kind, "probe_nuisances")
    rng = np.random.default_rng([number, *kind.encode()])
    changed = change(image.transpose(1, 2, 0).astype(float), rng)
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8).transpose(2, 0, 1)
