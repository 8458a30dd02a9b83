"""Trees of images as users have them, for the tests of inputs."""

import numpy as np
from PIL import Image

from moleflow.datasets.index import build_index

SETTINGS = {
    "layout": "mvtec",
    "calibration_fraction": 0.2,
    "duplicates": "refuse",
    "unreadable": "refuse",
    "bit_depth": "auto",
    "max_megapixels": 200.0,
    "contamination": 0.0,
}


def picture(path, seed=0, size=(20, 16), **options):
    """Writes a random picture and returns its pixels, (H, W, 3)."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def built(root, layout="mvtec", **changes):
    return build_index(root, **{**SETTINGS, "layout": layout, **changes})


def index(root, layout="mvtec", **changes):
    return built(root, layout, **changes).table


def notes(root, layout="mvtec", **changes):
    return built(root, layout, **changes).overview.notes


def labeled(root, rows, columns="image,label"):
    for number in range(10):
        picture(root / f"normal/{number}.png", number)
    for number in range(len(rows)):
        picture(root / f"test/{number}.png", 100 + number)
    lines = [columns, *(f"test/{number}.png,{row}" for number, row in enumerate(rows))]
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root
