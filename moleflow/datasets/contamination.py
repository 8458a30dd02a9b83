"""Contamination: defective images among the training images, to measure what they cost."""

from dataclasses import replace

import numpy as np

from moleflow.datasets.picture import Picture
from moleflow.datasets.sieves import Sieved


def contaminated(pictures: list[Picture], share: float) -> Sieved:
    """Puts defective test images in place of training images, drawn at random but always the same.

    At least one defective image stays in the test.

    Args:
        pictures: readable pictures of all splits.
        share: of the training images, in [0, 1); rounded to whole images.

    Returns:
        The pictures, and a sentence that says so.
    """
    train = [row for row, picture in enumerate(pictures) if picture.split == "train"]
    defective = [row for row, picture in enumerate(pictures) if picture.split == "test" and picture.sample.label == 1]
    count = max(0, min(round(share * len(train)), len(defective) - 1))
    if not count:
        return Sieved(pictures, [], [])
    rng = np.random.default_rng(0)
    gone, moved = (set(rng.permutation(rows)[:count].tolist()) for rows in (train, defective))
    kept = [
        replace(picture, split="train") if row in moved else picture
        for row, picture in enumerate(pictures)
        if row not in gone
    ]
    return Sieved(kept, [f"contamination: {count} of {len(train)} training images are defective test images"], [])
