"""Scores in HDF5, which any viewer opens; the only file that imports h5py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from moleflow.artifacts import ArtifactError, written_whole

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Record:
    """Arrays by path ("test/nll") and attributes; what one file holds."""

    arrays: Arrays
    attributes: dict[str, Any]

    def group(self, name: str) -> Arrays:
        """The arrays below `name`, without that prefix."""
        prefix = name + "/"
        return {key.removeprefix(prefix): value for key, value in self.arrays.items() if key.startswith(prefix)}


def write_record(path: Path, record: Record) -> None:
    """Writes a record, whole or not at all; the same content gives the same bytes."""
    with written_whole(path) as partial, h5py.File(partial, "w", track_order=True) as file:
        for name in sorted(record.arrays):
            file.create_dataset(name, data=record.arrays[name], track_times=False)
        for name in sorted(record.attributes):
            file.attrs[name] = record.attributes[name]


def read_record(path: Path, group: str = "/") -> Record:
    """Reads what `write_record` wrote.

    Args:
        path: the file.
        group: read the arrays below this name alone, without that prefix.

    Raises:
        ArtifactError: the file is missing or broken.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; `dvc repro` makes it")
    arrays: Arrays = {}

    def collect(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = node[()]

    try:
        with h5py.File(path) as file:
            file[group].visititems(collect)
            return Record(arrays, dict(file.attrs))
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); delete it and run `dvc repro`") from error
