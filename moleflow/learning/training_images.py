"""Which normal images the expert of a later task learns from, so that others are left for its calibration."""

from collections.abc import Callable

import numpy as np

from moleflow.features.folds import fold_numbers
from moleflow.features.image_features import StandardizedFeatures
from moleflow.features.prototype import Prototype
from moleflow.files.paths import Paths
from moleflow.learning.tasks import normal_features

# A member maps the products that share an expert, each with its prototype, and a number of folds to the features that
# the density of each fold learns from, by product.
Calibration = Callable[[Paths, dict[str, Prototype], int], list[dict[str, StandardizedFeatures]]]


def split(paths: Paths, prototypes: dict[str, Prototype], folds: int) -> list[dict[str, StandardizedFeatures]]:
    """One density, which never sees the calibration images.

    Args:
        paths: the repository's paths.
        prototypes: prototypes of the products that share the expert.
        folds: not used.

    Returns:
        One entry: features of the training images by product, (N, H, W, C).

    Raises:
        StoreError: a store is missing or holds features of another backbone.
    """
    features = {
        product: normal_features(paths, product, prototype, "train", "rotated")
        for product, prototype in prototypes.items()
    }
    return [features]


def cross(paths: Paths, prototypes: dict[str, Prototype], folds: int) -> list[dict[str, StandardizedFeatures]]:
    """One density per fold of all normal images, which never sees its fold nor rotated copies of it.

    Args:
        paths: the repository's paths.
        prototypes: prototypes of the products that share the expert.
        folds: how many folds; fewer if a product has fewer normal images.

    Returns:
        One entry per fold: features of the images outside it by product, (N, H, W, C).

    Raises:
        StoreError: a store is missing or holds features of another backbone.
    """
    normal = {
        product: normal_features(paths, product, prototype, "train", "calibration")
        for product, prototype in prototypes.items()
    }
    count = min([folds, *(len(features) for features in normal.values())])
    every, numbers = {}, {}
    for product, prototype in prototypes.items():
        every[product] = normal_features(paths, product, prototype, "train", "calibration", "rotated")
        numbers[product] = fold_numbers(len(normal[product]), count)[every[product].originals]
    return [
        {product: features.take(np.flatnonzero(numbers[product] != fold)) for product, features in every.items()}
        for fold in range(count)
    ]


CALIBRATIONS: dict[str, Calibration] = {"split": split, "cross": cross}
