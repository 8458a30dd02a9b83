"""Standardised patch features of images: in the store until they are asked for."""

from itertools import accumulate
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from moleflow.patches import patch_features
from moleflow.store import Split

# Standard deviations at which a standardised feature is cut off. A channel that hardly varies among the normal images
# may be alive on a defect and would leave fp16 (65,504) and then the flow's range; no normal feature comes near.
BOUND = 1000.0


@runtime_checkable
class ImageFeatures(Protocol):
    """Patch features of images that can be taken by row: a tensor (N, H, W, C), or what reads one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, rows: Any) -> Tensor:
        """Features of some images, (n, H, W, C)."""
        ...


class StandardisedFeatures:
    """Standardised features of the images of one or several splits, read whenever rows are taken.

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
            splits: of one store; their images are numbered through.
            patching: arguments of `patch_features`, with the grid that they come to.
            shift: what is taken from a patch feature.
            matrix: by what the difference, as a row, is multiplied.
            rows: numbers of the images that count; None for all.
        """
        self.splits, self.patching, self.shift, self.matrix = splits, patching, shift, matrix
        self.starts = [0, *accumulate(len(split.images) for split in splits)]
        self.rows = np.arange(self.starts[-1]) if rows is None else rows
        grid = patching["grid"]
        self.shape = (len(self.rows), grid, grid, matrix.shape[1])

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self.rows)

    @property
    def images(self) -> list[str]:
        """Name of every image, as its store has it."""
        names = [image for split in self.splits for image in split.images]
        return [names[row] for row in self.rows]

    def __getitem__(self, rows: Any) -> Float[Tensor, "n H W D"]:
        """Features of some images in the order asked for, fp16; `rows` is a slice or row numbers, repeats included."""
        numbers = self.rows[rows]
        features = torch.empty(len(numbers), *self.shape[1:], dtype=torch.float16)
        for split, start, end in zip(self.splits, self.starts, self.starts[1:], strict=False):
            inside = np.flatnonzero((numbers >= start) & (numbers < end))
            order = torch.from_numpy(inside[np.argsort(numbers[inside])])
            done = 0
            for maps in split.batches(numbers[order.numpy()] - start):
                places = order[done : done + len(maps[0])]
                features[places] = self._standardise(maps)
                done += len(places)
        return features

    def take(self, rows: np.ndarray) -> "StandardisedFeatures":
        """The same of some images only; still nothing is read."""
        return StandardisedFeatures(self.splits, self.patching, self.shift, self.matrix, self.rows[rows])

    def first(self, channels: int) -> "StandardisedFeatures":
        """The same with the first channels only: those that the flow models."""
        return StandardisedFeatures(self.splits, self.patching, self.shift, self.matrix[:, :channels], self.rows)

    def _standardise(self, maps: list[Tensor]) -> Tensor:
        features = patch_features(maps, **self.patching)
        return F.linear(features, self.matrix.T, -self.shift @ self.matrix).clamp(-BOUND, BOUND).half()


def images_within(features: ImageFeatures, memory: float) -> int:
    """How many images' fp16 features fit into `memory` GiB; one at least."""
    return max(1, int(memory * 2**30 / (2 * np.prod(features.shape[1:]))))
