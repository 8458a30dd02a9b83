"""probe: paints synthetic defects on calibration images, perturbs others harmlessly, and extracts their features.

Where the loss has a margin, it paints on training images too, with other numbers: not the same defects.
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from tqdm import tqdm

from moleflow.backbones.extraction import extract
from moleflow.config.errors import told_plainly
from moleflow.config.params import Config, Count, Positive, load_params
from moleflow.files.artifacts import written_whole
from moleflow.files.costs import measured
from moleflow.files.feature_store import PAINTED, write_masks, write_split
from moleflow.files.paths import Paths
from moleflow.files.probe_names import kinds_of, probe_names, sources_of
from moleflow.images.index_table import read_index, white_of
from moleflow.images.orienting import oriented, turn_of
from moleflow.images.reading import image_pixels, rotated
from moleflow.probe.defects import paint
from moleflow.probe.perturbations import perturb
from stages.backbone_keys import BackboneConfig

TO_LEARN = 1_000_000  # numbers of defects that are learned from, apart from those of the probe


class ProbeConfig(Config):
    """What this stage reads of params.yaml, besides stages/backbone_keys.py."""

    probe_defects: Annotated[list[str], Field(min_length=1)]
    probe_perturbations: list[str]
    probe_images: Positive
    painted_images: Count


@told_plainly
def main(name: str) -> None:
    """Writes data/probes/<product>.zarr with the groups probe, perturbed and painted.

    Their images are named as in moleflow/files/probe_names.py; those of painted by rows of the training images.

    Args:
        name: the product.
    """
    paths = Paths(Path())
    params = paths.product_params(name, "probe")
    config, view = load_params(ProbeConfig, params), load_params(BackboneConfig, params)
    table = read_index(paths.index.of(name))
    white = white_of(table)
    normal, train = ([Path(path) for path in table.path[table.split == split]] for split in ("calibration", "train"))
    output = paths.probes.of(name)
    painted = probe_names(config.probe_defects, config.probe_images, len(normal))
    perturbed = probe_names(config.probe_perturbations, config.probe_images, len(normal))
    to_learn = probe_names(config.probe_defects, config.painted_images, len(train))
    masks = np.empty((len(painted), view.loaded.side, view.loaded.side), bool)

    def ingredients(image: str, sources: list[Path]) -> tuple[np.ndarray, str]:
        (kind,), (row,) = kinds_of([image]), sources_of([image])
        return image_pixels(sources[row], view.loaded.side, view.resize, white=white), kind

    def defective(number: int) -> np.ndarray:
        pixels, mask = paint(*ingredients(painted[number], normal), number % config.probe_images)
        degrees = turn_of(pixels, view.orient)  # after painting: a defect may turn the image that it is in
        masks[number] = rotated(np.where(mask, np.uint8(255), np.uint8(0)), degrees) > 127
        return rotated(pixels, degrees)

    def changed(number: int) -> np.ndarray:
        pixels = perturb(*ingredients(perturbed[number], normal), number % config.probe_images)
        return oriented(pixels, view.orient)

    def defective_to_learn(number: int) -> np.ndarray:
        pixels, _ = paint(*ingredients(to_learn[number], train), TO_LEARN + number % config.painted_images)
        return oriented(pixels, view.orient)

    with (
        measured(paths.costs, "probe", name, [output]),
        written_whole(output) as partial,
        tqdm(total=len(painted) + len(perturbed) + len(to_learn), desc=f"probe {name}", unit="image") as bar,
    ):
        for split, images, read in (
            ("probe", painted, defective),
            ("perturbed", perturbed, changed),
            (PAINTED, to_learn, defective_to_learn),
        ):
            maps = extract(view.loaded, range(len(images)), read, bar=bar)
            write_split(partial / split, view.origin(white), images, maps)
        write_masks(partial / "probe", masks)


if __name__ == "__main__":
    main(*sys.argv[1:])
