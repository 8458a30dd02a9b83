"""Names of the probe's images: <kind>/<row of the calibration image that it was made from>."""

import numpy as np


def probe_names(kinds: list[str], each: int, held_out: int) -> list[str]:
    """Names `each` images of every kind, dealt over the calibration images in turn.

    Args:
        kinds: kinds of defect or perturbation.
        each: images per kind.
        held_out: how many calibration images there are.

    Returns:
        The names, kind by kind.
    """
    dealt = [(kind, place * each + number) for place, kind in enumerate(kinds) for number in range(each)]
    return [f"{kind}/{number % held_out}" for kind, number in dealt]


def kinds_of(images: list[str]) -> np.ndarray:
    """Kind of each image.

    Args:
        images: names from `probe_names`, M of them.

    Returns:
        (M,), text.
    """
    return np.array([image.split("/")[0] for image in images])


def sessions_of(images: list[str]) -> np.ndarray:
    """Number of each image's kind, in the order in which the kinds come.

    Args:
        images: names from `probe_names`, M of them.

    Returns:
        1, 2, ..., (M,), int64.
    """
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds_of(images).tolist()), start=1)}
    return np.array([numbers[kind] for kind in kinds_of(images)], dtype=np.int64)


def sources_of(images: list[str]) -> np.ndarray:
    """Row of the calibration image that each was made from.

    Args:
        images: names from `probe_names`, M of them.

    Returns:
        (M,), int64.
    """
    return np.array([image.split("/")[1] for image in images], dtype=np.int64)
