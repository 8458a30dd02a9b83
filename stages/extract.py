"""extract: runs the frozen backbone once over a product's images."""

import sys
from pathlib import Path

from tqdm import tqdm

from moleflow.artifacts import written_whole
from moleflow.backbones import Backbone
from moleflow.costs import measured
from moleflow.datasets.index import read_index
from moleflow.errors import told_plainly
from moleflow.extraction import extract
from moleflow.params import Config, Count, Positive, load_params
from moleflow.store import SPLITS, Origin, write_split

BATCH = 16  # images; larger ones are not faster on a processor


class ExtractConfig(Config):
    """What this stage reads of params.yaml."""

    backbone: str
    backbone_weights: str
    layers: list[Count]
    img_size: Positive
    resize: str


@told_plainly
def main(name: str) -> None:
    """Writes data/features/<class>.zarr with the groups train, calibration and test."""
    config = load_params(ExtractConfig)
    table = read_index(Path("data/index") / f"{name}.csv")
    output = Path("data/features") / f"{name}.zarr"
    with measured("extract", name, [output]):
        backbone = Backbone(config.backbone, config.layers, config.backbone_weights)
        origin = Origin(config.backbone, backbone.weights_digest, config.layers, config.img_size, config.resize)
        with written_whole(output) as partial, tqdm(total=len(table), desc=f"extract {name}", unit="image") as bar:
            for split in SPLITS:
                images = table.path[table.split == split].tolist()
                batches = extract(
                    backbone, images, img_size=config.img_size, resize=config.resize, batch_size=BATCH, bar=bar
                )
                write_split(partial / split, origin, images, batches)


if __name__ == "__main__":
    main(*sys.argv[1:])
