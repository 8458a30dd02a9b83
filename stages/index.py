"""index: lists a product's images and refuses bad input before anything is computed from it."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field

from moleflow.config.errors import told_plainly
from moleflow.config.params import Above, Config, OpenFraction, load_params
from moleflow.datasets.index import build_index
from moleflow.files.artifacts import read_json, write_json, write_text
from moleflow.files.costs import measured
from moleflow.files.paths import Paths
from moleflow.images.bit_depth import BitDepth


class IndexConfig(Config):
    """What this stage reads of params.yaml, besides its own line under `classes`."""

    calibration_fraction: OpenFraction
    duplicates: str
    unreadable: str
    bit_depth: BitDepth
    max_megapixels: Above
    contamination: Annotated[float, Field(ge=0, lt=1)]


@told_plainly
def main(name: str) -> None:
    """Writes data/index/<product>.csv and data/overviews/<product>.json.

    Args:
        name: the product.
    """
    paths = Paths(Path())
    params = paths.product_params(name, "index")
    config, line = load_params(IndexConfig, params), read_json(params, "dvc repro check")
    root, layout = paths.root / line["path"], line["layout"]  # not by the shell: a path may hold quotes or $
    output, seen = paths.index.of(name), paths.overviews.of(name)
    with measured(paths.costs, "index", name, [output, seen]):
        index = build_index(root, layout=layout, feedback=paths.feedback / name, **config.model_dump())
        write_text(output, index.table.to_csv(index=False))
        write_json(seen, asdict(index.overview))
    print(f"{name}\n{index.overview}")


if __name__ == "__main__":
    main(*sys.argv[1:])
