"""Promises: of which normal images the share that raises an alarm is to be `alarm_rate`."""

from collections.abc import Callable

import numpy as np

# A member maps the sessions that normal images went through, (n,), 0 for calibration images as they are and 1, 2, ...
# for one kind of harmless change each, to the images' weights in a p-value, (n,).


def session(sessions: np.ndarray) -> np.ndarray:
    """Images of the session that the calibration images are of.

    Args:
        sessions: session of every image, (n,).

    Returns:
        Weights, (n,): 1 or, of images that were changed, 0.
    """
    return (sessions == 0).astype(np.float64)


def shifted(sessions: np.ndarray) -> np.ndarray:
    """Images of another session: unchanged ones and every kind of harmless change, each as likely as the others.

    Args:
        sessions: session of every image, (n,).

    Returns:
        Weights, (n,), whose sum is the same for each session.
    """
    _, place, counts = np.unique(sessions, return_inverse=True, return_counts=True)
    weights: np.ndarray = (1 / counts)[place]
    return weights


PROMISES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"session": session, "shifted": shifted}
