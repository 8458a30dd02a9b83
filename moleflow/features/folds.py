"""Folds of a product's normal images, for cross-calibration."""

import numpy as np


def fold_numbers(images: int, folds: int) -> np.ndarray:
    """Deals images to folds of nearly equal size, always in the same way.

    Args:
        images: how many there are.
        folds: how many folds, at most `images`.

    Returns:
        Number of its fold for every image, (images,), int64.
    """
    return np.random.default_rng(0).permutation(images) % folds
