"""probe: paints synthetic defects on a product's held-out normal images and extracts their features."""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from tqdm import tqdm

from moleflow.artifacts import written_whole
from moleflow.costs import measured
from moleflow.datasets.images import image_pixels
from moleflow.datasets.index import read_index
from moleflow.defects import paint
from moleflow.errors import told_plainly
from moleflow.extraction import extract
from moleflow.params import Config, Positive, load_params
from moleflow.store import write_masks, write_split
from stages.view import BATCH, ViewConfig


class ProbeConfig(Config):
    """What this stage reads of params.yaml, besides stages/view.py."""

    probe_defects: Annotated[list[str], Field(min_length=1)]
    probe_images: Positive


@told_plainly
def main(name: str) -> None:
    """Writes data/probes/<class>.zarr with the group probe, whose images are called <kind>/<row of the held-out>."""
    config, view = load_params(ProbeConfig), load_params(ViewConfig)
    table = read_index(Path("data/index") / f"{name}.csv")
    normal = table.path[table.split == "calibration"].tolist()
    output = Path("data/probes") / f"{name}.zarr"
    images = [
        f"{kind}/{number % len(normal)}" for kind in config.probe_defects for number in range(config.probe_images)
    ]
    masks: list[np.ndarray] = []

    def read(image: str) -> np.ndarray:
        """Reads are in order, so the count of masks numbers the defect."""
        kind, row = image.split("/")
        pixels = image_pixels(Path(normal[int(row)]), view.img_size, view.resize)
        painted, mask = paint(pixels, kind, len(masks) % config.probe_images)
        masks.append(mask)
        return painted

    with (
        measured("probe", name, [output]),
        written_whole(output) as partial,
        tqdm(total=len(images), desc=f"probe {name}", unit="image") as bar,
    ):
        maps = extract(view.loaded, images, read, batch_size=BATCH, bar=bar)
        write_split(partial / "probe", view.origin, images, maps)
        write_masks(partial / "probe", np.stack(masks))


if __name__ == "__main__":
    main(*sys.argv[1:])
