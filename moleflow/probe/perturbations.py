"""Perturbations of normal images, for the probe: harmless changes by camera, light and handling.

A score that reacts to them raises false alarms in production, although the calibration images, taken in one
session, do not show it.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from moleflow.config.registry import choose

# A member takes an image (S, S, 3) with values 0..255 and a generator, and returns the perturbed one.


def _exposure(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness by up to 5 %, contrast by up to 10 %."""
    mean = image.mean()
    return mean * rng.uniform(0.95, 1.05) + (image - mean) * rng.uniform(0.9, 1.1)


def _noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sensor noise as it remains after downscaling: 1 of 255 gray levels, alike in all colors."""
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


PERTURBATIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "exposure": _exposure,
    "noise": _noise,
    "focus": _focus,
    "placement": _placement,
}


def perturb(image: np.ndarray, kind: str, number: int) -> np.ndarray:
    """Perturbs a normal image; the same arguments give the same image.

    Args:
        image: normal image, (3, S, S), uint8.
        kind: name in `PERTURBATIONS`.
        number: seeds the perturbation.

    Returns:
        The perturbed image, (3, S, S) uint8.

    Raises:
        ChoiceError: the kind is unknown.
    """
    change = choose(PERTURBATIONS, kind, "probe_perturbations")
    rng = np.random.default_rng([number, *kind.encode()])
    changed = change(image.transpose(1, 2, 0).astype(float), rng)
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8).transpose(2, 0, 1)
