"""VisA's layout: <product>/Data/Images, and beside the products split_csv/1cls.csv, which lists splits and labels.

DVC follows the product's folder but not the csv, which is part of the published protocol: after a change
in it, run `dvc repro -f index@<product>`.
Source: Zou et al., "SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection", ECCV 2022.
"""

from pathlib import Path

from moleflow.datasets.sample import DatasetError, Sample, below, read_table

COLUMNS = ["object", "split", "label", "image", "mask"]


def scan_visa(root: Path) -> list[Sample]:
    """Lists the samples of one product, in the order of the csv.

    Args:
        root: folder of the product; split_csv is beside it.

    Returns:
        The samples.

    Raises:
        DatasetError: the csv is missing, lacks a column or the product, or has an unknown value.
    """
    path = root.parent / "split_csv" / "1cls.csv"
    if not path.is_file():
        raise DatasetError(f"{path} does not exist; layout visa expects split_csv/1cls.csv beside the product {root}")
    table = read_table(path, COLUMNS, None)
    rows = table[table.object == root.name]
    if rows.empty:
        raise DatasetError(f"{path} has no object {root.name!r}; it has {', '.join(table.object.unique())}")
    for column, known in (("split", ["train", "test"]), ("label", ["normal", "anomaly"])):
        unknown = rows[~rows[column].isin(known)]
        if len(unknown):
            named = ", ".join(map(repr, unknown[column].unique()))
            raise DatasetError(f"{path}: {column} {named} is unknown; it may be {' or '.join(known)}")
    wrong = rows[(rows.split == "train") & (rows.label == "anomaly")]
    if len(wrong):
        raise DatasetError(
            f"{path}: {', '.join(wrong.image)} is an anomaly in split train; only normal images are learned"
        )
    return [
        Sample(
            below(root.parent, row.image),
            row.split,
            int(row.label == "anomaly"),
            "good" if row.label == "normal" else "anomaly",
            below(root.parent, row.mask) if row.mask and row.label == "anomaly" else None,
        )
        for row in rows.itertuples()
    ]
