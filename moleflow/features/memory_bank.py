"""Memory banks: some of a product's normal patches, kept for each layer."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from moleflow.features.image_features import ImageFeatures

COMPARED, COMPARED_ON_DEVICE = 2**21, 2**28  # pairs of patches at once: 8 MiB stay in a processor's caches
SEARCHED = 10  # patches searched at once, per patch kept


class MemoryBank:
    """Distance of every patch to the nearest kept one, layer by layer.

    Attributes:
        patches: those that are kept, of each layer, (M, C_l).
        images: of each layer the number of the image that each patch is of, (M,).
        center: what is taken off every patch first, by its place, (H, W, C); None for nothing.

    Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, sections
    3.2 and 3.3; the greedy search runs over parts of the images (see `memorize`), the layers are kept apart,
    and the score is the plain distance without the reweighting of equation 7.
    """

    def __init__(
        self,
        patches: list[Float[Tensor, "M _"]],
        images: list[Int64[Tensor, " M"]] | None = None,
        center: Float[Tensor, "H W C"] | None = None,
    ) -> None:
        """Keeps patches.

        Args:
            patches: of each layer, (M, C_l), on the device that is to search; a patch feature has the layers' channels
                side by side.
            images: of each layer the number of the image that each patch is of, (M,); None if nobody asks for
                `left_out_distances`.
            center: what was taken off the patches by their place, (H, W, C).
        """
        self.patches, self.center = patches, center
        self.images = (
            [layer.new_zeros(len(layer), dtype=torch.int64) for layer in patches] if images is None else images
        )
        # Distances come of differences of squares, which are the more exact the smaller the squares are.
        self.centers = [layer.float().mean(0) for layer in patches]
        self.centered = [layer - center for layer, center in zip(patches, self.centers, strict=True)]
        self.norms = [layer.square().sum(1) for layer in self.centered]

    def distances(self, features: Float[Tensor, "N H W C"]) -> list[Float[Tensor, "N H W"]]:
        """Distance of every patch to the nearest kept one, for each layer.

        Args:
            features: standardized patch features, (N, H, W, C).

        Returns:
            Distances, (N, H, W) for each layer.
        """
        return self.search(features)[0]

    def search(
        self,
        features: Float[Tensor, "N H W C"],
        unused: list[Bool[Tensor, " _"]] | None = None,
    ) -> tuple[list[Float[Tensor, "N H W"]], Int64[Tensor, "N H W"]]:
        """The same, and which kept patch of the deepest layer is the nearest.

        Args:
            features: standardized patch features, (N, H, W, C).
            unused: of each layer the kept patches that do not count, (M,); None if all do, as in a layer where no other
                would be left.

        Returns:
            Distances, (N, H, W) for each layer, and numbers of kept patches, (N, H, W); of no layer all numbers are 0.
        """
        distances: list[Tensor] = []
        nearest = torch.zeros(features.shape[:3], dtype=torch.int64, device=features.device)
        start, deepest = 0, len(self.patches) - 1
        features = _centered(features, self.center)
        for layer, (center, kept, norms) in enumerate(zip(self.centers, self.centered, self.norms, strict=True)):
            end = start + kept.shape[1]
            rows = features[..., start:end].flatten(0, 2) - center
            counted = norms
            if unused is not None:
                counted = norms.masked_fill(unused[layer] & ~unused[layer].all(), torch.inf)
            found, places = _nearest(rows, kept, counted, which=layer == deepest)
            distances.append(found.reshape(features.shape[:3]))
            if places is not None:
                nearest = places.reshape(features.shape[:3])
            start = end
        return distances, nearest


def _centered(features: Float[Tensor, "N H W C"], center: Float[Tensor, "H W C"] | None) -> Float[Tensor, "N H W C"]:
    return features if center is None else features.float() - center


def _nearest(
    rows: Float[Tensor, "P C"], kept: Float[Tensor, "M C"], norms: Float[Tensor, " M"], *, which: bool
) -> tuple[Float[Tensor, " P"], Int64[Tensor, " P"] | None]:
    """min over k of ‖x − k‖² = ‖x‖² + min (‖k‖² − 2·x·k): a single pass over the products, and few square roots.

    Which k it is costs a sixth more, so only who needs it asks.
    """
    at_once = max(1, (COMPARED if rows.device.type == "cpu" else COMPARED_ON_DEVICE) // len(kept))
    compared = rows.new_empty(min(at_once, len(rows)), len(kept))  # fetched from the system once, not for every part
    products = (torch.addmm(norms, part, kept.T, alpha=-2, out=compared[: len(part)]) for part in rows.split(at_once))
    if which:
        values, places = (torch.cat(each) for each in zip(*(part.min(1) for part in products), strict=True))
    else:
        values, places = torch.cat([part.amin(1) for part in products]), None
    return values.add_(rows.square().sum(1)).clamp_min_(0).sqrt_(), places


def memorize(
    features: ImageFeatures, layers: list[int], *, size: int, center: Float[Tensor, "H W C"] | None = None
) -> MemoryBank:
    """Chooses patches that cover a product's normal ones, for each layer; the same ones whatever the seed of learning.

    Images are searched in parts of about `SEARCHED`·M patches. Of several parts each gives equally many patches that
    cover it, 2·M in sum and M/10 at least, and these are searched again; so every patch is looked at, and up to twenty
    parts cost as much as two.

    Args:
        features: standardized patch features, (N, H, W, C); read a part at a time.
        layers: channels of each layer, C in sum.
        size: M, patches to keep of each layer; 0 keeps none.
        center: what to take off every patch by its place, (H, W, C).

    Returns:
        A memory bank of fp16 patches, on the features' device; without layers for size 0.

    Source: Indyk et al., "Composable core-sets for diversity and coverage maximization", PODS 2014, for the parts.
    """
    if size == 0:
        return MemoryBank([])
    images, height, width = features.shape[:3]
    count = -(-images // max(1, SEARCHED * size // (height * width)))
    if count == 1:
        return MemoryBank(*_cover_of(features, range(images), layers, size, center), center)
    parts = [range(part[0], part[-1] + 1) for part in np.array_split(np.arange(images), count)]
    of_each = max(-(-2 * size // count), -(-size // 10))
    found = [_cover_of(features, part, layers, of_each, center) for part in parts]
    patches, numbers = ([torch.cat(layer) for layer in zip(*each, strict=True)] for each in zip(*found, strict=True))
    kept = [_greedy_cover(layer.float(), size) for layer in patches]
    return MemoryBank(
        [layer[rows] for layer, rows in zip(patches, kept, strict=True)],
        [layer[rows] for layer, rows in zip(numbers, kept, strict=True)],
        center,
    )


def _cover_of(
    features: ImageFeatures, part: range, layers: list[int], count: int, center: Float[Tensor, "H W C"] | None
) -> tuple[list[Float[Tensor, "M _"]], list[Int64[Tensor, " M"]]]:
    """Patches that cover some images, of each layer, and the numbers of the images that they are of."""
    searched = _centered(features[part.start : part.stop], center).half().flatten(0, 2)
    each = len(searched) // len(part)
    split = searched.split(layers, dim=1)
    chosen = [_greedy_cover(layer.float(), count) for layer in split]
    numbers = [part.start + rows // each for rows in chosen]
    return [layer[rows] for layer, rows in zip(split, chosen, strict=True)], numbers


def _greedy_cover(points: Float[Tensor, "P D"], count: int) -> Int64[Tensor, " M"]:
    """Rows of points, each the farthest from all chosen before, the first from the mean; in an ever same projection."""
    if points.shape[1] > 64:
        generator = torch.Generator().manual_seed(0)
        projection = torch.randn(points.shape[1], 64, generator=generator).to(points.device)
        points = points @ projection / 8  # Johnson and Lindenstrauss
    distance = (points - points.mean(0)).square().sum(1)
    norms = points.square().sum(1)
    to_farthest = torch.empty_like(distance)  # nothing large is allocated in the loop, nor does it wait for a number
    chosen = torch.zeros(min(count, len(points)), dtype=torch.int64, device=points.device)
    for number in range(len(chosen)):
        farthest = torch.argmax(distance, dim=0, keepdim=True)
        chosen[number : number + 1] = farthest
        torch.addmv(norms, points, points.index_select(0, farthest)[0], alpha=-2, out=to_farthest)
        to_farthest.add_(norms.index_select(0, farthest))
        if number == 0:
            distance.fill_(torch.inf)  # the mean is none of the chosen
        torch.minimum(distance, to_farthest, out=distance)
    return chosen
