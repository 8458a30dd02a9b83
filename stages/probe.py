"""probe: paints synthetic defects on held-out normal images, varies others harmlessly, and extracts the features."""

import sys
from itertools import count
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
from moleflow.nuisances import vary
from moleflow.params import Config, Positive, load_params
from moleflow.probe_names import kinds_of, probe_names, sources_of
from moleflow.store import write_masks, write_split
from stages.view import BATCH, ViewConfig


class ProbeConfig(Config):
    """What this stage reads of params.yaml, besides stages/view.py."""

    probe_defects: Annotated[list[str], Field(min_length=1)]
    probe_nuisances: list[str]
    probe_images: Positive


@told_plainly
def main(name: str) -> None:
    """Writes data/probes/<class>.zarr with the groups probe and varied.

    Their images are named as in moleflow/probe_names.py.
    """
    config, view = load_params(ProbeConfig), load_params(ViewConfig)
    table = read_index(Path("data/index") / f"{name}.csv")
    normal = [Path(path) for path in table.path[table.split == "calibration"]]
    output = Path("data/probes") / f"{name}.zarr"
    painted = probe_names(config.probe_defects, config.probe_images, len(normal))
    varied = probe_names(config.probe_nuisances, config.probe_images, len(normal))
    masks: list[np.ndarray] = []
    done = count()  # reads are in order, so it numbers the images

    def read(image: str) -> np.ndarray:
        (kind,), (row,), number = kinds_of([image]), sources_of([image]), next(done)
        pixels = image_pixels(normal[row], view.img_size, view.resize)
        if number >= len(painted):
            return vary(pixels, kind, (number - len(painted)) % config.probe_images)
        defective, mask = paint(pixels, kind, number % config.probe_images)
        masks.append(mask)
        return defective

    with (
        measured("probe", name, [output]),
        written_whole(output) as partial,
        tqdm(total=len(painted) + len(varied), desc=f"probe {name}", unit="image") as bar,
    ):
        for split, images in (("probe", painted), ("varied", varied)):
            maps = extract(view.loaded, images, read, batch_size=BATCH, bar=bar)
            write_split(partial / split, view.origin, images, maps)
        write_masks(partial / "probe", np.stack(masks))


if __name__ == "__main__":
    main(*sys.argv[1:])
