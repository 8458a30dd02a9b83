"""A sound product to make odd."""

import numpy as np
import pytest
from PIL import Image
from trees import picture


@pytest.fixture
def tree(tmp_path):
    """A product in the layout mvtec: ten training images, two normal and three defective ones with masks."""
    root = tmp_path / "bolt"
    for number in range(10):
        picture(root / f"train/good/{number}.png", number)
    for number in range(2):
        picture(root / f"test/good/{number}.png", 100 + number)
    for number in range(3):
        picture(root / f"test/dent/{number}.png", 200 + number)
        mask = np.zeros((16, 20), np.uint8)
        mask[number : number + 4, 3:9] = 255
        (root / "ground_truth/dent").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(root / f"ground_truth/dent/{number}_mask.png")
    return root
