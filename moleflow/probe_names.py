"""What the images of the probe are called: <kind>/<row of the held-out normal image that they were made of>."""

import numpy as np


def probe_names(kinds: list[str], each: int, held_out: int) -> list[str]:
    """Names of `each` images of every kind, dealt over the held-out images in turn.

    Args:
        kinds: kinds of defect or change.
        each: images per kind.
        held_out: how many held-out images there are.
    """
    dealt = [(kind, place * each + number) for place, kind in enumerate(kinds) for number in range(each)]
    return [f"{kind}/{number % held_out}" for kind, number in dealt]


def kinds_of(images: list[str]) -> np.ndarray:
    """Kind of each image, (M,)."""
    return np.array([image.split("/")[0] for image in images])


def sources_of(images: list[str]) -> np.ndarray:
    """Row of the held-out image that each was made of, (M,), int64."""
    return np.array([image.split("/")[1] for image in images], dtype=np.int64)
