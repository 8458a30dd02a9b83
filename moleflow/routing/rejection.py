"""Rejection: does an image show a known product at all?"""

import math

import numpy as np
from scipy.special import stdtr

from moleflow.calibration.conformal import ROUNDING, p_values

TAIL_IMAGES = 5  # with so many training images a product can be told from unknown ones at any reject_rate


def known_p_values(left_out: np.ndarray, strangeness: np.ndarray) -> np.ndarray:
    """P-values of images against a product's own ones; small for images of another product.

    As long as one of the product's own images is as strange, the p-value is the conformal one of
    `moleflow.calibration.conformal.p_values`. Beyond them all that cannot fall below 1/(n + 1), which for 20 or
    60 images is above any useful `reject_rate`: there it goes on with the tail of Student's predictive
    distribution of the logarithm. The rate holds only approximately: the tail is a model, and the product's own
    images are compared with a center of the n − 1 others, a new one with the center of all n.

    Args:
        left_out: `moleflow.features.gaussian.left_out_distances` of the product's training images, (n,).
        strangeness: squared Euclidean distances of images to its center, (N,).

    Returns:
        P-values, (N,), in (0, 1]; never below 1/(n + 1) if n is below `TAIL_IMAGES`, too few to estimate a spread.

    Source: Geisser, "Predictive Inference", 1993, chapter 2, for the predictive distribution of a normal sample.
    """
    p = p_values(left_out, strangeness)
    if len(left_out) < TAIL_IMAGES:
        return p
    logs = np.log(np.maximum(left_out, 1e-9 * left_out.max()))  # an image may lie at the center
    spread = logs.std(ddof=1) * math.sqrt(1 + 1 / len(logs))
    beyond = strangeness > left_out.max()
    t = (np.log(strangeness[beyond]) - logs.mean()) / max(spread, 1e-6)
    p[beyond] = np.minimum(p[beyond], stdtr(len(logs) - 1, -t))
    return p


def can_reject(training_images: int, reject_rate: float) -> bool:
    """Whether p-values of a product can fall to `reject_rate`.

    Args:
        training_images: how many its prototype was made from.
        reject_rate: tolerated share of rejected images of known products.

    Returns:
        False if there are too few training images.
    """
    return training_images >= TAIL_IMAGES or 1 / (training_images + 1) <= reject_rate + ROUNDING


def rejected(known: np.ndarray, reject_rate: float) -> np.ndarray:
    """Which images show no known product: their p-value is at most `reject_rate` for every one.

    About that share of a known product's images is rejected, or fewer, whatever the other products are;
    how close it comes depends on the product's images (`known_p_values`).

    Args:
        known: `known_p_values` for every known prototype, (N, K).
        reject_rate: tolerated share of rejected images of known products; 0 rejects none.

    Returns:
        (N,), bool.
    """
    strange: np.ndarray = (known.max(1) <= reject_rate + ROUNDING) & (reject_rate > 0)
    return strange
