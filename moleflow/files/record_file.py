"""Scores in HDF5, which any viewer opens; the only file that imports h5py."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from moleflow.files.artifacts import FORMAT, ArtifactError, require_file, require_format, written_whole

Arrays = dict[str, np.ndarray]

Statistics = dict[str, np.ndarray]
"""Per patch, higher is more anomalous, (N, H, W) each. Of an expert: nll, latent = ½‖z‖² and neg_log_det, the negated
log-determinant, in nats; memory0, memory1, ..., the distance to the memory bank of each layer; gaussian, that under the
position's Gaussian; relative, the nll beside that of patches alike; nll_free, that of a density without a position
code. Of a baseline: distance."""


@dataclass(frozen=True)
class Record:
    """Arrays by path ("test/nll") and attributes; what one file holds."""

    arrays: Arrays
    attributes: dict[str, Any]

    def group(self, name: str) -> Arrays:
        """The arrays of a group.

        Args:
            name: name of the group.

        Returns:
            Its arrays by their path below the group.
        """
        prefix = name + "/"
        return {key.removeprefix(prefix): array for key, array in self.arrays.items() if key.startswith(prefix)}


def write_record(path: Path, record: Record) -> None:
    """Writes a record, whole or not at all; the same content gives the same bytes.

    Args:
        path: the file.
        record: arrays and attributes.
    """
    with written_whole(path) as partial, h5py.File(partial, "w", track_order=True) as file:
        for name in sorted(record.arrays):
            file.create_dataset(name, data=record.arrays[name], track_times=False)
        attributes = {**record.attributes, "format": FORMAT}
        for name in sorted(attributes):
            file.attrs[name] = attributes[name]


def require_finite(found: Statistics, product: str, images: list[str]) -> None:
    """Refuses statistics that are not finite: no score may be made from them.

    Args:
        found: (N, H, W) each.
        product: whose expert or baseline gave them, for the error.
        images: names of the N images, for the error.

    Raises:
        ArtifactError: a value is NaN or infinite; names product, image and statistic.
    """
    for name, statistic in found.items():
        finite = np.isfinite(statistic).reshape(len(statistic), -1).all(1)
        if not finite.all():
            raise ArtifactError(
                f"{product}: {name} of {images[int(finite.argmin())]} is not finite; look at the image, or lower lr or "
                "couplings"
            )


def read_record(path: Path, group: str = "/") -> Record:
    """Reads what `write_record` wrote.

    Args:
        path: the file.
        group: read the arrays below this name alone, without that prefix.

    Returns:
        The arrays, none if there is no such group, and all attributes of the file.

    Raises:
        ArtifactError: the file is missing, broken or of another version.
    """
    arrays: Arrays = {}

    def collect(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = node[()]

    with _opened(path) as file:
        if group in file:
            file[group].visititems(collect)
        return Record(arrays, _attributes(file))


def read_attributes(path: Path) -> dict[str, Any]:
    """Reads the attributes that `write_record` wrote, and no array.

    Args:
        path: the file.

    Returns:
        Value by name.

    Raises:
        ArtifactError: the file is missing, broken or of another version.
    """
    with _opened(path) as file:
        return _attributes(file)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    require_file(path)
    try:
        with h5py.File(path) as file:
            require_format(path, file.attrs.get("format"), FORMAT)
            yield file
    except (OSError, KeyError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); delete it and run `dvc repro`") from error


def _attributes(file: h5py.File) -> dict[str, Any]:
    return {name: value for name, value in file.attrs.items() if name != "format"}
