"""The table of a product's images: one row each, with split, label, kind of defect and mask."""

from pathlib import Path

import pandas as pd

from moleflow.files.artifacts import require_file


def read_index(path: Path) -> pd.DataFrame:
    """Reads a table that `moleflow.datasets.index.build_index` made and stage index wrote.

    Args:
        path: `Paths.index.of` a product.

    Returns:
        One row per image: path, split (train, calibration, test or feedback), label, defect, mask, white, digest,
        mask_digest, content; the last is empty in tables of earlier versions.

    Raises:
        ArtifactError: it does not exist.
    """
    require_file(path)
    table = pd.read_csv(path, keep_default_na=False)
    table["white"] = pd.to_numeric(table["white"])  # empty for none
    return table if "content" in table else table.assign(content="")


def white_of(table: pd.DataFrame) -> float | None:
    """The value that is white in a product's images of more than 8 bits.

    Args:
        table: from `read_index`.

    Returns:
        The value, the same in all rows; None if there are no such images to learn from.
    """
    white = table["white"].iloc[0]
    return None if pd.isna(white) else float(white)
