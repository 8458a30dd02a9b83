"""Standardized patch features of images, read from the store on demand."""

from collections.abc import Collection
from itertools import accumulate
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.features.patches import patch_features
from moleflow.features.standardization import standardized
from moleflow.files.feature_store import Split


@runtime_checkable
class ImageFeatures(Protocol):
    """Patch features of images that can be taken by row: a tensor (N, H, W, C), or an object that reads one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the features lie once they are taken."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, rows: Any) -> Tensor:
        """Features of some images, (n, H, W, C)."""
        ...


class StandardizedFeatures:
    """Standardized features of the images of one or several splits, read whenever rows are taken.

    They are computed on the device of `matrix`, and stay there.

    Attributes:
        shape: (N, H, W, D), D being the channels that remain.
    """

    def __init__(
        self,
        splits: tuple[Split, ...],
        patching: dict[str, Any],
        shift: Float[Tensor, " C"],
        matrix: Float[Tensor, "C D"],
        rows: np.ndarray | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            splits: splits of one store; their images are numbered consecutively.
            patching: arguments of `patch_features`, with the grid in patches, not 0.
            shift: what is subtracted from a patch feature, (C,).
            matrix: what the difference, as a row, is multiplied by, (C, D).
            rows: numbers of the images to keep; None for all.
        """
        self.splits, self.patching, self.shift, self.matrix = splits, patching, shift, matrix
        self.starts = [0, *accumulate(len(split.images) for split in splits)]
        self.rows = np.arange(self.starts[-1]) if rows is None else rows
        grid = patching["grid"]
        self.shape = (len(self.rows), grid, grid, matrix.shape[1])

    @property
    def device(self) -> torch.device:
        """Where they are computed and lie."""
        return self.matrix.device

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self.rows)

    @property
    def images(self) -> list[str]:
        """Name of every image, as its store has it."""
        names = [image for split in self.splits for image in split.images]
        return [names[row] for row in self.rows]

    @property
    def originals(self) -> np.ndarray:
        """Number of the image that each was made from, itself or that of a rotated copy, (N,)."""
        names = [image for split in self.splits for image in split.originals]
        first: dict[str, int] = {}
        return np.array([first.setdefault(names[row], number) for number, row in enumerate(self.rows)], np.int64)

    def without(self, images: Collection[str]) -> "StandardizedFeatures":
        """The features of the other images only; still nothing is read.

        Args:
            images: names of images that are not to take part, nor rotated copies of them.

        Returns:
            Features, (n, H, W, D).
        """
        names = [image for split in self.splits for image in split.originals]
        return self.take(np.flatnonzero([names[row] not in images for row in self.rows]))

    def __getitem__(self, rows: Any) -> Float[Tensor, "n H W D"]:
        """Features of some images in the order asked for, fp16; `rows` is a slice or row numbers, repeats included."""
        numbers = self.rows[rows]
        features = torch.empty(len(numbers), *self.shape[1:], dtype=torch.float16, device=self.device)
        for split, start, end in zip(self.splits, self.starts, self.starts[1:], strict=False):
            inside = np.flatnonzero((numbers >= start) & (numbers < end))
            order = torch.from_numpy(inside[np.argsort(numbers[inside])])
            done = 0
            for maps in split.batches(numbers[order.numpy()] - start):
                places = order[done : done + len(maps[0])]
                features[places.to(features.device)] = self._standardize(maps)
                done += len(places)
        return features

    def take(self, rows: np.ndarray) -> "StandardizedFeatures":
        """The features of some images only; still nothing is read.

        Args:
            rows: numbers of these images, (n,).

        Returns:
            Features, (n, H, W, D).
        """
        return StandardizedFeatures(self.splits, self.patching, self.shift, self.matrix, self.rows[rows])

    def first(self, channels: int) -> "StandardizedFeatures":
        """The features' first channels only: those that the flow models.

        Args:
            channels: how many.

        Returns:
            Features, (N, H, W, channels).
        """
        return StandardizedFeatures(self.splits, self.patching, self.shift, self.matrix[:, :channels], self.rows)

    def _standardize(self, maps: list[Tensor]) -> Tensor:
        moved = [layer.to(self.device, non_blocking=True) for layer in maps]
        return standardized(patch_features(moved, **self.patching), self.shift, self.matrix)


def images_within(features: ImageFeatures, memory: float) -> int:
    """Number of images whose fp16 features fit into memory.

    Args:
        features: patch features, (N, H, W, C).
        memory: how much there is, in GiB.

    Returns:
        The number, at least one.
    """
    return max(1, int(memory * 2**30 / (2 * np.prod(features.shape[1:]))))
