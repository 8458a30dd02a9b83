"""Trees of images as users have them, for the tests of inputs."""

import numpy as np
from PIL import Image

from moleflow.datasets.index import build_index


def picture(path, seed=0, size=(20, 16), **options):
    """Writes a random picture and returns its pixels, (H, W, 3)."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def index(root, layout="mvtec"):
    return build_index(root, layout=layout, calibration_fraction=0.2, duplicates="refuse").table


def notes(root, layout="mvtec", duplicates="refuse"):
    return build_index(root, layout=layout, calibration_fraction=0.2, duplicates=duplicates).notes


def labeled(root, rows, columns="image,label"):
    for number in range(10):
        picture(root / f"normal/{number}.png", number)
    for number in range(len(rows)):
        picture(root / f"test/{number}.png", 100 + number)
    lines = [columns, *(f"test/{number}.png,{row}" for number, row in enumerate(rows))]
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root
