"""extract: runs the frozen backbone once over a product's images."""

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from moleflow.artifacts import written_whole
from moleflow.costs import measured
from moleflow.datasets.images import image_pixels
from moleflow.datasets.index import read_index
from moleflow.errors import told_plainly
from moleflow.extraction import extract
from moleflow.params import load_params
from moleflow.store import SPLITS, write_split
from stages.view import BATCH, ViewConfig


@told_plainly
def main(name: str) -> None:
    """Writes data/features/<class>.zarr with the groups train, calibration and test."""
    view = load_params(ViewConfig)
    table = read_index(Path("data/index") / f"{name}.csv")
    output = Path("data/features") / f"{name}.zarr"

    def read(path: str) -> np.ndarray:
        return image_pixels(Path(path), view.img_size, view.resize)

    with (
        measured("extract", name, [output]),
        written_whole(output) as partial,
        tqdm(total=len(table), desc=f"extract {name}", unit="image") as bar,
    ):
        for split in SPLITS:
            images = table.path[table.split == split].tolist()
            maps = extract(view.loaded, images, read, batch_size=BATCH, bar=bar)
            write_split(partial / split, view.origin, images, maps)


if __name__ == "__main__":
    main(*sys.argv[1:])
