"""Promises: of which normal images the share that raises an alarm is to be `alarm_rate`."""

from collections.abc import Callable

import numpy as np

# A member maps the sessions that normal images went through, (n,), 0 as they are and 1, 2, ... for one kind of harmless
# change each, and the number of the image that each was made from, (n,), to the images' weights in a p-value, (n,). A
# new image weighs 1: their sum is the number of images that they are made from.


def session(sessions: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Images of the session that the calibration images are of.

    Args:
        sessions: session of every image, (n,).
        sources: not used.

    Returns:
        Weights, (n,): 1 or, of images that were changed, 0.
    """
    return (sessions == 0).astype(np.float64)


def shifted(sessions: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Images of another session: unchanged ones and every kind of harmless change, each as likely as the others.

    Changed copies of the same few images say no more than these do.

    Args:
        sessions: session of every image, (n,).
        sources: number of the image that each was made from, (n,).

    Returns:
        Weights, (n,), whose sum is the same for each session.
    """
    changed = sessions > 0
    made_from = len(np.unique(sources[changed])) if changed.any() else len(sessions)
    _, place, counts = np.unique(sessions, return_inverse=True, return_counts=True)
    weights: np.ndarray = (made_from / len(counts) / counts)[place]
    return weights


PROMISES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"session": session, "shifted": shifted}
