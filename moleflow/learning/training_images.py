"""Which normal images the expert of a later task learns from, so that others are left for its calibration."""

from collections.abc import Callable

import numpy as np

from moleflow.features.folds import fold_numbers
from moleflow.features.image_features import StandardizedFeatures
from moleflow.features.prototype import Prototype
from moleflow.files.feature_store import open_split
from moleflow.files.paths import Paths
from moleflow.learning.tasks import normal_features

FEW = 19  # calibration images: with fewer, no p-value reaches 0.05

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


def auto(paths: Paths, prototypes: dict[str, Prototype], folds: int) -> list[dict[str, StandardizedFeatures]]:
    """`cross` if one of the products has too few calibration images for an alarm rate of 0.05, else `split`.

    Args:
        paths: the repository's paths.
        prototypes: prototypes of the products that share the expert.
        folds: as in `cross`.

    Returns:
        What `split` or `cross` returns.

    Raises:
        StoreError: a store is missing or holds features of another backbone.
    """
    held_out = [len(open_split(paths.features.of(product), "calibration").images) for product in prototypes]
    return (cross if crosses("auto", min(held_out)) else split)(paths, prototypes, folds)


CALIBRATIONS: dict[str, Calibration] = {"auto": auto, "split": split, "cross": cross}


def crosses(calibration: str, held_out: int) -> bool:
    """Whether a later task's expert is calibrated fold by fold.

    Args:
        calibration: name in `CALIBRATIONS`.
        held_out: calibration images of the product that has the fewest.

    Returns:
        True for several folds.
    """
    return calibration == "cross" or (calibration == "auto" and held_out < FEW)
