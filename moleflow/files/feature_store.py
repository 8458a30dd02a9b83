"""Feature stores: raw layer maps in zarr, one group per split; the only file that imports zarr.

A store is a folder with the groups `train`, `rotated`, `calibration` and `test`, and `feedback` where images were
labeled; that of the probe has `probe`, `perturbed` and `painted`. Each group is complete by itself (its own attributes
and arrays), so a stage can depend on one of them and see no other.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor

from moleflow.config.errors import MoleflowError
from moleflow.files.artifacts import FORMAT, require_format

NORMAL = ("train", "rotated", "calibration")  # rotated: copies of the training images, in their order; often none
PAINTED = "painted"  # training images with painted defects, in the probe's store; often none
TURNED = " turned by "  # a rotated copy is called <path of its image> turned by <degrees>
SHARD = 64  # images per shard: about 10 MB each, few enough files for DVC to hash
READ_AT_ONCE = 16  # images: patch features of more leave the processor's caches


class StoreError(MoleflowError):
    """A store is missing, broken, or holds features of another backbone."""


@dataclass(frozen=True)
class Origin:
    """Where features come from; two stores can be compared only if these are equal, `white` apart.

    Attributes:
        backbone: timm's name.
        weights_digest: SHA-256 of its weights.
        layers: timm's feature indices.
        img_size: side of a tile in pixels.
        resize: how images were brought to the backbone's view.
        white: the product's own, see `moleflow.images.bit_depth.find_white`; None without images of more than 8 bits.
        tiles: along a side of an image.
        orient: how images were turned before the backbone.
    """

    backbone: str
    weights_digest: str
    layers: list[int]
    img_size: int
    resize: str
    white: float | None = field(default=None, compare=False)
    tiles: int = 1
    orient: str = "none"

    def written(self) -> dict[str, Any]:
        """What files hold: value by name, `orient` only where images are turned, so that files made before it stay."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("orient", "none")}

    def __repr__(self) -> str:
        """What digests of features hold."""
        return f"Origin({', '.join(f'{name}={value!r}' for name, value in self.written().items())})"


def write_split(group_path: Path, origin: Origin, images: list[str], batches: Iterable[list[Tensor]]) -> None:
    """Writes the raw maps of a split, whole shards at once.

    Args:
        group_path: folder of the group, <store>/<split>.
        origin: where the features come from.
        images: path of every image, in the order of the rows.
        batches: per batch one map per layer, each (B, C_l, H_l, W_l).

    Raises:
        StoreError: a feature is not finite, or does not fit into fp16; the message names the image.
    """
    group = zarr.create_group(group_path, attributes={"format": FORMAT, "origin": origin.written(), "images": images})
    written, pending = 0, []
    for batch in batches:
        pending.append([layer.half().cpu().numpy() for layer in batch])
        count = sum(len(part[0]) for part in pending)
        if count >= SHARD or written + count == len(images):
            whole = [np.concatenate(parts) for parts in zip(*pending, strict=True)]
            keep = len(whole[0]) if written + count == len(images) else count - count % SHARD
            _write_rows(group, origin.layers, images, written, [layer[:keep] for layer in whole])
            written += keep
            pending = [[layer[keep:] for layer in whole]]
    if written != len(images):
        raise StoreError(f"{group_path}: {len(images)} images announced, {written} extracted")


def _write_rows(group: zarr.Group, layers: list[int], images: list[str], start: int, maps: list[np.ndarray]) -> None:
    for layer, rows in zip(layers, maps, strict=True):
        finite = np.isfinite(rows).reshape(len(rows), -1).all(1)
        if not finite.all():
            raise StoreError(
                f"{images[start + int(finite.argmin())]}: layer {layer} has features that are not finite in fp16; "
                "check the image and backbone_weights"
            )
        name = f"layer{layer}"
        if name not in group:
            group.create_array(
                name,
                shape=(len(images), *rows.shape[1:]),
                dtype=rows.dtype,
                chunks=(1, *rows.shape[1:]),
                shards=(SHARD, *rows.shape[1:]),
                compressors=None,  # fp16 activations do not compress
                fill_value=np.nan,  # what a shard that is missing reads as; no feature is
            )
        array: Any = group[name]
        array[start : start + len(rows)] = rows


def write_masks(group_path: Path, masks: np.ndarray) -> None:
    """Adds masks to a split that `write_split` wrote.

    Args:
        group_path: folder of the group, <store>/<split>.
        masks: true where defective, (N, S, S), bool.
    """
    group = zarr.open_group(group_path, mode="r+")
    chunks = (min(SHARD, len(masks)), *masks.shape[1:])
    group.create_array("mask", shape=masks.shape, dtype=bool, chunks=chunks)[:] = masks


@dataclass(frozen=True)
class Split:
    """One split of a store, opened for reading.

    Attributes:
        path: folder of its group, <store>/<split>.
        group: the opened zarr group.
        origin: where the features come from.
        images: path of every image, in the order of the rows.
    """

    path: Path
    group: zarr.Group
    origin: Origin
    images: list[str]

    @property
    def originals(self) -> list[str]:
        """Of every image the one that it was made from: itself, or the training image of a rotated copy."""
        rotated = self.path.name == "rotated"
        return [image.rsplit(TURNED, 1)[0] for image in self.images] if rotated else self.images

    def maps(self, rows: slice = slice(None)) -> list[Tensor]:
        """Reads raw maps of some images.

        Args:
            rows: the images; all by default.

        Returns:
            One map per layer, each (N, C_l, H_l, W_l), fp16.

        Raises:
            StoreError: a part of the store is missing.
        """
        return [torch.from_numpy(self._rows(layer, rows)) for layer in self.origin.layers]

    def masks(self) -> np.ndarray:
        """The masks that `write_masks` added, (N, S, S) bool."""
        array: Any = self.group["mask"]
        return np.asarray(array[:])

    def batches(self, rows: np.ndarray | None = None) -> Iterator[list[Tensor]]:
        """Reads raw maps of a few images at a time, shard by shard, so that what is computed from them stays small.

        Args:
            rows: row numbers to read, in ascending order, repeats allowed; None for all.

        Yields:
            One map per layer, each (n, C_l, H_l, W_l), fp16.
        """
        wanted = np.arange(len(self.images)) if rows is None else rows
        for shard in np.unique(wanted // SHARD):
            inside = wanted[wanted // SHARD == shard]
            first, last = int(inside[0]), int(inside[-1])
            shard_maps = self.maps(slice(first, last + 1))
            if not np.array_equal(inside, np.arange(first, last + 1)):  # some are left out, or asked for twice
                shard_maps = [layer[torch.from_numpy(inside - first)] for layer in shard_maps]
            yield from map(list, zip(*(layer.split(READ_AT_ONCE) for layer in shard_maps), strict=True))

    def digest(self) -> str:
        """SHA-256 over origin, image paths and every feature, layer by layer."""
        total = hashlib.sha256(repr((self.origin, self.images)).encode())
        for layer in self.origin.layers:
            for start in range(0, len(self.images), SHARD):
                total.update(self._rows(layer, slice(start, start + SHARD)).tobytes())
        return total.hexdigest()

    def _rows(self, layer: int, rows: slice) -> np.ndarray:
        try:
            array: Any = self.group[f"layer{layer}"]
            found: np.ndarray = array[rows]
        except (KeyError, ValueError, OSError) as error:
            raise self._broken(f"layer{layer} cannot be read ({error})") from error
        if np.isnan(found[:, 0, 0, 0]).any():
            raise self._broken(f"a shard of layer{layer} is missing")
        return found

    def _broken(self, reason: str) -> StoreError:
        return StoreError(f"{self.path}: {reason}; delete {self.path.parent} and run `dvc repro`")


def has_split(store: Path, split: str) -> bool:
    """Whether a store has a split that not every store has.

    Args:
        store: folder of the store.
        split: name of the group.

    Returns:
        True if there is one.
    """
    return (store / split).is_dir()


def open_split(store: Path, split: str) -> Split:
    """Opens one split of a store.

    Args:
        store: folder of the store.
        split: name of the group.

    Returns:
        The split; its features are read on demand.

    Raises:
        StoreError: it is missing or unreadable; the message names the folder.
        ArtifactError: another version of moleflow wrote it.
    """
    path = store / split
    try:
        group = zarr.open_group(path, mode="r")
        attributes: Any = group.attrs.asdict()
        require_format(path, attributes.get("format"), FORMAT)
        return Split(path, group, Origin(**attributes["origin"]), attributes["images"])
    except (FileNotFoundError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is not a feature store ({error}); delete {store} and run `dvc repro`") from error


def require_same_origin(expected: Origin, found: Origin, store: Path) -> None:
    """Refuses features of another backbone, layer set or image size.

    Args:
        expected: the origin that the features must have.
        found: the origin that they have.
        store: folder of the store, for the error.

    Raises:
        StoreError: names each differing key with both values.
    """
    wanted, given = asdict(expected), asdict(found)
    compared = [key.name for key in fields(Origin) if key.compare]
    differing = [f"{key} {given[key]!r} instead of {wanted[key]!r}" for key in compared if wanted[key] != given[key]]
    if differing:
        raise StoreError(f"{store} was extracted with {'; '.join(differing)}; delete it and run `dvc repro`")
