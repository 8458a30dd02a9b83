"""index: lists a product's images and refuses bad input before anything is computed from it."""

import sys
from pathlib import Path

from moleflow.config.errors import told_plainly
from moleflow.config.params import Config, OpenFraction, load_params
from moleflow.datasets.index import build_index
from moleflow.files.artifacts import read_json, write_text
from moleflow.files.costs import measured
from moleflow.files.paths import Paths


class IndexConfig(Config):
    """What this stage reads of params.yaml, besides its own line under `classes`."""

    calibration_fraction: OpenFraction
    duplicates: str


@told_plainly
def main(name: str) -> None:
    """Writes data/index/<product>.csv.

    Args:
        name: the product.
    """
    paths = Paths(Path())
    params = paths.product_params(name, "index")
    config, line = load_params(IndexConfig, params), read_json(params, "dvc repro check")
    root, layout = paths.root / line["path"], line["layout"]  # not by the shell: a path may hold quotes or $
    output = paths.index.of(name)
    with measured(paths.costs, "index", name, [output]):
        table, notes = build_index(root, layout=layout, **config.model_dump())
        write_text(output, table.to_csv(index=False))
    print(f"{name}: " + ", ".join(f"{count} {split}" for split, count in table["split"].value_counts().items()))
    for note in notes:
        print(f"{name}: {note}")


if __name__ == "__main__":
    main(*sys.argv[1:])
