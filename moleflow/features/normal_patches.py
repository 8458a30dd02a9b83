"""What is kept of a product's normal patches beside the flow, and how far others are from them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from moleflow.config.registry import choose
from moleflow.features.centers import CENTERS
from moleflow.features.folds import fold_numbers
from moleflow.features.image_features import StandardizedFeatures
from moleflow.features.memory_bank import MemoryBank, memorize
from moleflow.features.orientations import Judged, least_over_turns, over_turns
from moleflow.features.position_gaussians import PositionGaussians, PositionMoments
from moleflow.features.relative_likelihood import RelativeLikelihood
from moleflow.files.feature_store import READ_AT_ONCE

FOLDS = 5  # of the training images, whose Gaussians must not have seen them; a memory bank leaves out a single image

Distances = dict[str, Float[Tensor, "N H W"]]


@dataclass(frozen=True)
class NormalPatches:
    """A memory bank of patches, and a Gaussian per position.

    Attributes:
        memory: without layers if `memory_size` was 0.
        gaussians: None if `gaussian_rank` was 0.
        relative: how unlikely training patches are by Gaussians of other images; None unless there are both.
    """

    memory: MemoryBank
    gaussians: PositionGaussians | None
    relative: RelativeLikelihood | None = None

    @classmethod
    def of(
        cls,
        features: StandardizedFeatures,
        layers: list[int],
        *,
        memory_size: int,
        memory_center: str,
        gaussian_rank: int,
    ) -> "NormalPatches":
        """Learns from a product's training images.

        Args:
            features: standardized patch features of these and of their rotated copies, (N, H, W, C).
            layers: channels of each layer, C in sum.
            memory_size: patches to keep of each layer; 0 for none.
            memory_center: name in `CENTERS`, of what the memory bank takes off patches.
            gaussian_rank: directions of a position's covariance; 0 for no Gaussians.

        Returns:
            The normal patches, on the features' device.

        Raises:
            ChoiceError: `memory_center` is unknown.
        """
        centers = choose(CENTERS, memory_center, "memory_center")
        memory = memorize(features, layers, size=memory_size, center=centers(features) if memory_size else None)
        if not gaussian_rank:
            return cls(memory, None)
        moments = PositionMoments.of(features)
        normal = cls(memory, PositionGaussians.of(moments, gaussian_rank))
        if not memory_size:
            return normal
        judged = normal._judged_by_others(features, moments)
        return replace(normal, relative=RelativeLikelihood.of(judged, len(memory.patches[-1]), features.device))

    def distances(self, features: Float[Tensor, "N H W C"]) -> Distances:
        """How far patches are from the normal ones.

        Args:
            features: standardized patch features, (N, H, W, C).

        Returns:
            memory0, memory1, ...: to the nearest kept patch of each layer; gaussian: to the mean of the position, in
            its standard deviations; relative_gaussian: how unlikely they are for their kind by the Gaussian of the
            position; (N, H, W) each.
        """
        return self.search(features)[0]

    def search(
        self, features: Float[Tensor, "N H W C"], orientations: int = 1
    ) -> tuple[Distances, Int64[Tensor, "N H W"]]:
        """The same, and which kept patch of the deepest layer is the nearest.

        Args:
            features: standardized patch features, (N, H, W, C).
            orientations: quarter turns in which they may lie, see `least_over_turns`. They change the distances to the
                Gaussians, and those of a memory bank with a center: without one it does not know where a patch lies.

        Returns:
            What `distances` returns, and numbers of kept patches, (N, H, W).
        """
        found, nearest = self._remembered(features, orientations)
        if self.gaussians:
            found["gaussian"], nll = _placed(self.gaussians, features, orientations)
            if self.relative:
                found["relative_gaussian"] = self.relative(nll, nearest)
        return found, nearest

    def left_out_distances(self, features: StandardizedFeatures, orientations: int = 1) -> Distances:
        """The same of the training images that these were learned from, each as if it had not been among them.

        A memory bank does without the image's own patches; the Gaussians are those of the other folds' images, for a
        fold of the training images at a time.

        Args:
            features: what `of` was given.
            orientations: see `search`.

        Returns:
            Of the images, without rotated copies, what `search` returns.
        """
        originals = features.originals
        count = len(np.unique(originals))
        every = PositionMoments.of(features) if self.gaussians else None
        left_out: Distances = {}
        for rows in _folds(originals):
            gaussians = every and self._gaussians_without(features.take(rows), every)
            held = rows[rows < count]  # the copies come after all of them
            for part in np.array_split(held, -(-len(held) // READ_AT_ONCE)):
                patches = features[part]
                found = self._memory_without_own(patches, part, originals, orientations)
                if gaussians:
                    found["gaussian"], _ = _placed(gaussians, patches, orientations)
                for name, distances in found.items():
                    whole = left_out.setdefault(name, distances.new_empty(count, *distances.shape[1:]))
                    whole[torch.from_numpy(part).to(whole.device)] = distances
        return left_out

    def _judged_by_others(
        self, features: StandardizedFeatures, every: PositionMoments
    ) -> Iterator[tuple[Float[Tensor, "N H W"], Int64[Tensor, "N H W"]]]:
        """Of some training images and copies at a time the nll by Gaussians of the other folds, and the nearest kept
        patches."""
        for rows in _folds(features.originals):
            gaussians = self._gaussians_without(features.take(rows), every)
            for part in np.array_split(rows, -(-len(rows) // READ_AT_ONCE)):
                patches = features[part]
                yield gaussians.nll(gaussians.distances(patches)), self.memory.search(patches)[1]

    def _remembered(
        self,
        features: Float[Tensor, "N H W C"],
        orientations: int,
        unused: list[Bool[Tensor, " _"]] | None = None,
    ) -> tuple[Distances, Int64[Tensor, "N H W"]]:
        """What `MemoryBank.search` finds, in that of the quarter turns in which each layer's patch is the nearest."""

        def judge(turned: Tensor) -> Judged:
            distances, nearest = self.memory.search(turned, unused)
            return {**_named(distances), "nearest": nearest}

        turns = over_turns(judge, features, orientations if self.memory.center is not None else 1)
        layers = {name: torch.stack([turn[name] for turn in turns]) for name in turns[0]}
        nearest = layers.pop("nearest")
        if len(turns) == 1 or not layers:
            return {name: found[0] for name, found in layers.items()}, nearest[0]
        *_, deepest = layers.values()
        return {name: found.amin(0) for name, found in layers.items()}, nearest.gather(0, deepest.argmin(0)[None])[0]

    def _memory_without_own(
        self, patches: Float[Tensor, "N H W C"], rows: np.ndarray, originals: np.ndarray, orientations: int
    ) -> Distances:
        """Distances to the memory bank without each image's own patches, those of its copies included."""
        made_of = torch.from_numpy(originals).to(patches.device)
        images = []
        for own, row in zip(patches.split(1), rows.tolist(), strict=True):
            unused = [made_of[kept] == row for kept in self.memory.images]
            images.append(self._remembered(own, orientations, unused)[0])
        return {name: torch.cat([found[name] for found in images]) for name in images[0]}

    def _gaussians_without(self, held: StandardizedFeatures, every: PositionMoments) -> PositionGaussians:
        """Gaussians of the images that are not held out; of all if there are no others."""
        rank = self.gaussians.directions.shape[3] if self.gaussians else 0
        return PositionGaussians.of(every.without(PositionMoments.of(held)) if len(held) < every.count else every, rank)

    def tensors(self) -> dict[str, Tensor]:
        """Everything, by name, to be written to a file."""
        tensors = {f"memory/{layer}": patches for layer, patches in enumerate(self.memory.patches)}
        tensors |= {f"image/{layer}": images for layer, images in enumerate(self.memory.images)}
        if self.memory.center is not None:
            tensors["center"] = self.memory.center
        if self.gaussians:
            tensors |= {f"gaussian/{name}": tensor for name, tensor in self.gaussians.tensors().items()}
        if self.relative:
            tensors |= {f"relative/{name}": tensor for name, tensor in vars(self.relative).items()}
        return tensors

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "NormalPatches":
        """Reads what `tensors` gave.

        Args:
            tensors: by name.

        Returns:
            The normal patches, on the tensors' device.
        """
        layers = sum(name.startswith("memory/") for name in tensors)
        patches, images = ([tensors[f"{kind}/{layer}"] for layer in range(layers)] for kind in ("memory", "image"))
        gaussians, relative = (
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            for prefix in ("gaussian/", "relative/")
        )
        return cls(
            MemoryBank(patches, images, tensors.get("center")),
            PositionGaussians(**gaussians) if gaussians else None,
            RelativeLikelihood(**relative) if relative else None,
        )


def _folds(originals: np.ndarray) -> list[np.ndarray]:
    """Rows of the training images in every fold, and of their copies: none of them may judge another."""
    count = len(np.unique(originals))
    folds = fold_numbers(count, min(FOLDS, count))
    return [np.flatnonzero(folds[originals] == fold) for fold in np.unique(folds)]


def _placed(
    gaussians: PositionGaussians, features: Float[Tensor, "N H W C"], orientations: int
) -> tuple[Float[Tensor, "N H W"], Float[Tensor, "N H W"]]:
    """Distances to the Gaussians, and the nll by them."""

    def judge(turned: Tensor) -> Judged:
        distances = gaussians.distances(turned)
        return {"distances": distances, "nll": gaussians.nll(distances)}

    found = least_over_turns(judge, features, orientations)
    return found["distances"], found["nll"]


def _named(layers: list[Float[Tensor, "N H W"]]) -> Distances:
    return {f"memory{layer}": distances for layer, distances in enumerate(layers)}
