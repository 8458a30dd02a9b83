"""probe: paints synthetic defects on held-out normal images, varies others harmlessly, and extracts the features."""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from tqdm import tqdm

from moleflow.artifacts import written_whole
from moleflow.backbones.extraction import extract
from moleflow.costs import measured
from moleflow.datasets.images import image_pixels
from moleflow.datasets.index import read_index
from moleflow.defects import paint
from moleflow.errors import told_plainly
from moleflow.nuisances import vary
from moleflow.params import Config, Positive, load_params
from moleflow.paths import INDEX, PROBES, product_params
from moleflow.probe_names import kinds_of, probe_names, sources_of
from moleflow.store import write_masks, write_split
from stages.view import ViewConfig


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
    params = product_params(name, "probe")
    config, view = load_params(ProbeConfig, params), load_params(ViewConfig, params)
    table = read_index(INDEX / f"{name}.csv")
    normal = [Path(path) for path in table.path[table.split == "calibration"]]
    output = PROBES / f"{name}.zarr"
    painted = probe_names(config.probe_defects, config.probe_images, len(normal))
    varied = probe_names(config.probe_nuisances, config.probe_images, len(normal))
    masks = np.empty((len(painted), view.img_size, view.img_size), bool)

    def ingredients(images: list[str], number: int) -> tuple[np.ndarray, str, int]:
        (kind,), (row,) = kinds_of([images[number]]), sources_of([images[number]])
        return image_pixels(normal[row], view.img_size, view.resize), kind, number % config.probe_images

    def defective(number: int) -> np.ndarray:
        pixels, masks[number] = paint(*ingredients(painted, number))
        return pixels

    def changed(number: int) -> np.ndarray:
        return vary(*ingredients(varied, number))

    with (
        measured("probe", name, [output]),
        written_whole(output) as partial,
        tqdm(total=len(painted) + len(varied), desc=f"probe {name}", unit="image") as bar,
    ):
        for split, images, read in (("probe", painted, defective), ("varied", varied, changed)):
            maps = extract(view.loaded, range(len(images)), read, bar=bar)
            write_split(partial / split, view.origin, images, maps)
        write_masks(partial / "probe", masks)


if __name__ == "__main__":
    main(*sys.argv[1:])
