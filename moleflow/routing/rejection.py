"""Rejection: does an image show a known product at all?"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from moleflow.calibration.conformal import ROUNDING

UNKNOWN = "unknown"  # what an image of no known product is called
TAIL_IMAGES = 5  # so many images of a session are needed to know how its distances spread
LEAST_SPREAD = 0.05  # of the distances' logarithms: images that are all alike would reject all others


@dataclass(frozen=True)
class OwnImages:
    """How far images of a product lie from those most like them, session by session.

    A session is what images went through: the training images, each compared with the others, and calibration images
    under one kind of harmless change each. Tomorrow's images may have gone through any of them, so the most lenient one
    decides.

    Attributes:
        counts: images of every session, (S,).
        levels, spreads: mean of the logarithms of their distances, and standard deviation of their predictive
            distribution, (S,).
    """

    counts: list[int]
    levels: list[float]
    spreads: list[float]

    @classmethod
    def of(cls, sessions: list[np.ndarray]) -> "OwnImages":
        """Fits a tail to every session.

        Args:
            sessions: distances of a product's own images, (n,) each, the training images first; sessions of fewer than
                `TAIL_IMAGES` images are left out, and all if the training images are so few (`can_reject`).

        Returns:
            The own images.
        """
        if not can_reject(len(sessions[0])):  # the others are one picture changed again and again
            sessions = []
        known = [np.log(np.maximum(session, 1e-9)) for session in sessions if len(session) >= TAIL_IMAGES]
        spreads = [max(float(logs.std(ddof=1)), LEAST_SPREAD) * math.sqrt(1 + 1 / len(logs)) for logs in known]
        return cls([len(logs) for logs in known], [float(logs.mean()) for logs in known], spreads)

    def p_values(self, strangeness: np.ndarray) -> np.ndarray:
        """P-values of images against the product's own ones; small for images of another product.

        The tail of Student's predictive distribution of the logarithm: with 20 images too it falls to any useful
        `reject_rate`. The rate holds only approximately, since the tail is a model.

        Args:
            strangeness: distances of images to the product, (N,).

        Returns:
            P-values, (N,), in [0, 1]; 1 if no session has enough images.

        Source: Geisser, "Predictive Inference", 1993, chapter 2, for the predictive distribution of a normal sample.
        """
        if not self.counts:
            return np.ones(len(strangeness))
        t = (np.log(np.maximum(strangeness, 1e-9))[:, None] - np.array(self.levels)) / np.array(self.spreads)
        found: np.ndarray = stdtr(np.array(self.counts) - 1.0, -t).max(1)
        return found


def can_reject(training_images: int) -> bool:
    """Whether images can be told from those of a product at all.

    Args:
        training_images: how many its prototype was made from.

    Returns:
        False if there are too few training images.
    """
    return training_images >= TAIL_IMAGES


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
    if can_reject(training_images):
        return f"{reject_rate:g} needs {TAIL_IMAGES} training images, there are {training_images}"
    return (
        f"{reject_rate:g} needs {TAIL_IMAGES} training images and there are {training_images}, so that no image like "
        f"its own is called unknown; what helps: {TAIL_IMAGES - training_images} more of them"
    )


def rejected(known: np.ndarray, strangeness: np.ndarray, reject_rate: float) -> np.ndarray:
    """Which images show no known product: their p-value against the product most like them is at most `reject_rate`.

    About that share of a known product's images is rejected, or fewer; how close it comes depends on the product's
    images (`OwnImages`).

    Args:
        known: p-values against every known product's own images, (N, K).
        strangeness: distances to every known product, (N, K).
        reject_rate: tolerated share of rejected images of known products; 0 rejects none.

    Returns:
        (N,), bool.
    """
    nearest = strangeness.argmin(1)
    strange: np.ndarray = (known[np.arange(len(known)), nearest] <= reject_rate + ROUNDING) & (reject_rate > 0)
    return strange
