"""Rejection: does an image show a known product at all?"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from moleflow.calibration.conformal import ROUNDING

UNKNOWN = "unknown"  # what an image of no known product is called
TAIL_IMAGES = 5  # with so many training images a product can be told from unknown ones at any reject_rate


@dataclass(frozen=True)
class OwnImages:
    """How far a product's own images are from its center, in the form in which others are compared with them.

    Attributes:
        ordered: their distances, ascending, (n,).
        level, spread: mean of the distances' logarithms, and standard deviation of the predictive distribution.
    """

    ordered: np.ndarray
    level: float
    spread: float

    @classmethod
    def of(cls, left_out: np.ndarray) -> "OwnImages":
        """Sorts the distances and fits their tail.

        Args:
            left_out: `moleflow.features.gaussian.left_out_distances` of the product's training images, (n,).

        Returns:
            The own images.
        """
        logs = np.log(np.maximum(left_out, 1e-9 * left_out.max()))  # an image may lie at the center
        few = len(logs) < TAIL_IMAGES
        spread = 0.0 if few else logs.std(ddof=1) * math.sqrt(1 + 1 / len(logs))
        return cls(np.sort(left_out), float(logs.mean()), max(float(spread), 1e-6))

    def p_values(self, strangeness: np.ndarray) -> np.ndarray:
        """P-values of images against the product's own ones; small for images of another product.

        As long as one of the product's own images is as strange, the p-value is the conformal one of
        `moleflow.calibration.conformal.p_values`. Beyond them all that cannot fall below 1/(n + 1), which for 20 or
        60 images is above any useful `reject_rate`: there it goes on with the tail of Student's predictive
        distribution of the logarithm. The rate holds only approximately: the tail is a model, and the product's own
        images are compared with a center of the n − 1 others, a new one with the center of all n.

        Args:
            strangeness: squared Euclidean distances of images to its center, (N,).

        Returns:
            P-values, (N,), in (0, 1]; never below 1/(n + 1) if n is below `TAIL_IMAGES`, too few to estimate a spread.

        Source: Geisser, "Predictive Inference", 1993, chapter 2, for the predictive distribution of a normal sample.
        """
        count = len(self.ordered)
        p = (1 + count - np.searchsorted(self.ordered, strangeness, side="left")) / (count + 1)
        beyond = strangeness > self.ordered[-1]
        if count >= TAIL_IMAGES and beyond.any():
            t = (np.log(strangeness[beyond]) - self.level) / self.spread
            p[beyond] = np.minimum(p[beyond], stdtr(count - 1, -t))
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


def rejection_needs(training_images: int, reject_rate: float) -> str:
    """Says whether a product has enough training images to be told from unknown ones, and what would help.

    Args:
        training_images: how many its prototype is made from.
        reject_rate: tolerated share of rejected images of known products.

    Returns:
        A sentence without a full stop.
    """
    if not reject_rate:
        return "0 rejects no image"
    if can_reject(training_images, reject_rate):
        return f"{reject_rate:g} needs {TAIL_IMAGES} training images, there are {training_images}"
    return (
        f"{reject_rate:g} needs {TAIL_IMAGES} training images and there are {training_images}, so that no image of any "
        f"product is called unknown; what helps: {TAIL_IMAGES - training_images} more of them"
    )


def rejected(known: np.ndarray, reject_rate: float) -> np.ndarray:
    """Which images show no known product: their p-value is at most `reject_rate` for every one.

    About that share of a known product's images is rejected, or fewer, whatever the other products are;
    how close it comes depends on the product's images (`OwnImages`).

    Args:
        known: p-values against every known product's own images, (N, K).
        reject_rate: tolerated share of rejected images of known products; 0 rejects none.

    Returns:
        (N,), bool.
    """
    strange: np.ndarray = (known.max(1) <= reject_rate + ROUNDING) & (reject_rate > 0)
    return strange
