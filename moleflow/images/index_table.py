"""The table of a product's images: one row each, with split, label, kind of defect and mask."""

from pathlib import Path

import pandas as pd

from moleflow.files.artifacts import require_file


def read_index(path: Path) -> pd.DataFrame:
    """Reads a table that `moleflow.datasets.index.build_index` made and stage index wrote.

    Args:
        path: `Paths.index.of` a product.

    Returns:
        One row per image: path, split (train, calibration or test), label, defect, mask, digest, mask_digest.

    Raises:
        ArtifactError: it does not exist.
    """
    require_file(path)
    return pd.read_csv(path, keep_default_na=False)
