"""extract: runs the frozen backbone once over a product's images."""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from tqdm import tqdm

from moleflow.backbones.extraction import extract
from moleflow.config.errors import told_plainly
from moleflow.config.params import Config, load_params
from moleflow.files.artifacts import written_whole
from moleflow.files.costs import measured
from moleflow.files.feature_store import TURNED, write_split
from moleflow.files.paths import Paths
from moleflow.files.split_names import FEEDBACK, SPLITS
from moleflow.images.index_table import read_index, white_of
from moleflow.images.orienting import oriented
from moleflow.images.reading import image_pixels, rotated
from stages.backbone_keys import BackboneConfig

COPIES = 3  # rotated copies of every training image


class ExtractConfig(Config):
    """What this stage reads of params.yaml, besides stages/backbone_keys.py."""

    rotation_degrees: Annotated[float, Field(ge=0, le=180)]


@told_plainly
def main(name: str) -> None:
    """Writes data/features/<product>.zarr with the groups train, rotated, calibration, test and, if any, feedback.

    Args:
        name: the product.
    """
    paths = Paths(Path())
    params = paths.product_params(name, "extract")
    config, view = load_params(ExtractConfig, params), load_params(BackboneConfig, params)
    table = read_index(paths.index.of(name))
    white = white_of(table)
    output = paths.features.of(name)
    groups = {split: dict.fromkeys(table.path[table.split == split], 0.0) for split in SPLITS}
    turned = _turned(list(groups["train"]), config.rotation_degrees)
    labeled = table.path[table.split == FEEDBACK]
    if len(labeled):
        groups[FEEDBACK] = dict.fromkeys(labeled, 0.0)
    groups["rotated"] = {f"{path}{TURNED}{degrees}": degrees for path, degrees in turned}
    files = {image: path for image, (path, _) in zip(groups["rotated"], turned, strict=True)}

    with (
        measured(paths.costs, "extract", name, [output]),
        written_whole(output) as partial,
        tqdm(total=sum(map(len, groups.values())), desc=f"extract {name}", unit="image") as bar,
    ):
        for group, images in groups.items():

            def read(image: str, degrees: dict[str, float] = images) -> np.ndarray:
                pixels = image_pixels(Path(files.get(image, image)), view.loaded.side, view.resize, white=white)
                return oriented(rotated(pixels, degrees[image]), view.orient)

            maps = extract(view.loaded, list(images), read, bar=bar)
            write_split(partial / group, view.origin(white), list(images), maps)


def _turned(paths: list[str], degrees: float) -> list[tuple[str, float]]:
    """Every image `COPIES` times in turn, each by an angle up to `degrees` either way; none for 0."""
    angles = np.random.default_rng(0).uniform(-degrees, degrees, (COPIES, len(paths)))
    return [(path, angle) for row in angles.tolist() for path, angle in zip(paths, row, strict=True)] if degrees else []


if __name__ == "__main__":
    main(*sys.argv[1:])
