"""A product's prototype: how its images become standardized patch features, and how it is recognized."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.config.registry import choose
from moleflow.features.gaussian import Gaussian, fit_gaussian
from moleflow.features.image_features import StandardizedFeatures
from moleflow.features.moments import Moments
from moleflow.features.neighbors import left_out_distances
from moleflow.features.patches import embeddings, layer_channels, modeled_channels, patch_features
from moleflow.features.standardization import STANDARDIZATIONS, standardized
from moleflow.files.feature_store import Origin, Split, StoreError, require_same_origin
from moleflow.files.tensor_file import load_tensors, save_tensors


@dataclass(frozen=True)
class Prototype:
    """What is kept of a product's normal training images, for standardization, router and rejection.

    Attributes:
        gaussian: distribution of the deepest layer's part of their embeddings, D channels; on the processor.
        images: the embeddings themselves, (N, C); likewise.
        left_out: mean distance of each training image to those most like it, (N,), float64; likewise.
        shift, matrix: standardization of a patch feature x, a row: (x − shift)·matrix; (C,) and (C, C). They lie on
            the device on which features are computed.
        deviation: standard deviation of every channel, (C,); likewise.
        layers: channels of a patch feature that come from each layer.
        suspects: names of training images that take no part in anything.
        patching: arguments of `patch_features`.
        origin: backbone, layers and view of the features.
        features_digest: SHA-256 of all features that may be learned from, the link from experts to data.
    """

    gaussian: Gaussian
    images: Float[Tensor, "N C"]
    left_out: Float[Tensor, " N"]
    shift: Float[Tensor, " C"]
    matrix: Float[Tensor, "C C"]
    deviation: Float[Tensor, " C"]
    layers: list[int]
    suspects: list[str]
    patching: dict[str, Any]
    origin: Origin
    features_digest: str

    def log_det(self, channels: int) -> float:
        """Log-determinant of the standardization of a patch's first channels.

        Args:
            channels: how many channels; they must be whole layers.

        Returns:
            The log-determinant, in nats.
        """
        return float(torch.linalg.slogdet(self.matrix[:channels, :channels].cpu().double()).logabsdet)

    def modeled(self, flow_layers: int) -> int:
        """Number of channels that the flow models.

        Args:
            flow_layers: how many layers it models, from the first on; 0 for all.

        Returns:
            Their channels in sum.

        Raises:
            MoleflowError: a patch feature has fewer layers side by side.
        """
        return modeled_channels(self.layers, flow_layers)

    def patch_features(self, maps: list[Tensor]) -> Float[Tensor, "N H W C"]:
        """Patch features of images.

        Args:
            maps: raw maps, one per layer, (N, C_l, H_l, W_l) each, fp16 as the store rounds them.

        Returns:
            Patch features, not standardized, (N, H, W, C), on the prototype's device.
        """
        return patch_features([layer.to(self.matrix.device, non_blocking=True) for layer in maps], **self.patching)

    def embeddings(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N C"]:
        """The router's embeddings of images.

        Args:
            features: from `patch_features`, (N, H, W, C).

        Returns:
            Embeddings, (N, C), on the processor.
        """
        return embeddings(features).cpu()

    def embeddings_of(self, split: Split) -> Float[Tensor, "N C"]:
        """The router's embeddings of a split's images.

        Args:
            split: the split, N images.

        Returns:
            Embeddings, (N, C), on the processor.

        Raises:
            StoreError: the split has features of another backbone, layer set or image size.
        """
        self.require_origin(split)
        return torch.cat([self.embeddings(self.patch_features(maps)) for maps in split.batches()])

    def standardize(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W C"]:
        """Standardizes patch features as experts are given them.

        Args:
            features: from `patch_features`, (N, H, W, C).

        Returns:
            The same as `standardized` reads, (N, H, W, C), fp16.
        """
        return standardized(features, self.shift, self.matrix)

    def standardized(self, *splits: Split) -> StandardizedFeatures:
        """Standardized patch features of the images of one or several splits of a store, suspects left out.

        Args:
            *splits: the splits, N images in sum without suspects.

        Returns:
            Features, (N, H, W, C), read when rows are taken.

        Raises:
            StoreError: a split has features of another backbone, layer set or image size.
        """
        self.require_origin(*splits)
        return StandardizedFeatures(splits, self.patching, self.shift, self.matrix).without(self.suspects)

    def require_origin(self, *splits: Split) -> None:
        """Refuses features that this prototype cannot be compared with.

        Args:
            *splits: the splits that hold them.

        Raises:
            StoreError: a split has features of another backbone, layer set or image size.
        """
        for split in splits:
            require_same_origin(self.origin, split.origin, split.path)

    def scaled(self, *splits: Split) -> StandardizedFeatures:
        """Patch features with every channel at unit variance, whatever `standardize`: what baselines are given.

        Args:
            *splits: splits of a store, N images in sum without suspects.

        Returns:
            (x − shift)/deviation, (N, H, W, C), read as those of `standardized` are.

        Raises:
            StoreError: as there.
        """
        self.require_origin(*splits)
        scaled = StandardizedFeatures(splits, self.patching, self.shift, (1 / self.deviation).diag())
        return scaled.without(self.suspects)


def build_prototype(
    train: Split,
    *others: Split,
    patching: dict[str, Any],
    standardize: str,
    router_rank: int,
    device: torch.device,
    suspects: Collection[str] = (),
) -> Prototype:
    """Learns a prototype from the training split of a product, shard by shard.

    Args:
        train: the training split.
        *others: what else there is to learn from, see `learned_splits`; only their digests are used.
        patching: arguments of `patch_features`.
        standardize: name in `STANDARDIZATIONS`.
        router_rank: directions kept of the embeddings' covariance.
        device: where features are computed.
        suspects: names of training images that are to take no part.

    Returns:
        The prototype.

    Raises:
        ChoiceError: `standardize` or the layer merge is unknown.
        StoreError: there are fewer than two training images, or all are alike; names the store.
    """
    store = train.path
    rows = np.flatnonzero([image not in suspects for image in train.images])
    if len(rows) < 2:
        raise StoreError(
            f"{store} has {len(rows)} training images{' besides suspects' if suspects else ''}; 2 different ones are "
            "needed, 100 or more are good: add images or lower calibration_fraction" + (" or suspects" * bool(suspects))
        )
    sample = train.maps(slice(0, 1))
    grid, channels = patch_features(sample, **patching).shape[2:]
    layers = layer_channels(sample, embed_dim=patching["embed_dim"], layer_merge=patching["layer_merge"])
    # Filled in place: small results kept between large temporary ones would fragment the heap.
    embedded = torch.empty(len(rows), channels)
    moments = Moments(channels, device)
    done = 0
    for maps in train.batches(rows):
        features = patch_features([layer.to(device, non_blocking=True) for layer in maps], **patching)
        embedded[done : done + len(features)] = embeddings(features)
        done += len(features)
        moments.add(features.flatten(0, 2))
    mean, covariance = moments.mean(), moments.covariance()
    if (embedded - embedded[0]).abs().max() <= 2**-10 * embedded.abs().max():  # nothing beyond fp16's last place
        raise StoreError(
            f"the training images of {store} are all alike to the backbone; at least 2 different ones are needed: "
            "look at the product's folder"
        )
    std = covariance.diag().clamp_min(0).sqrt()
    std = std.clamp_min(1e-3 * std.mean())  # keeps a channel that hardly varies from being amplified
    standardization = choose(STANDARDIZATIONS, standardize, "standardize")
    shift, matrix = standardization(mean, std, covariance / std.outer(std), layers)
    return Prototype(
        gaussian=fit_gaussian(embedded[:, -layers[-1] :], router_rank),
        images=embedded,
        left_out=left_out_distances(embedded),
        shift=shift.float().to(device),
        matrix=matrix.float().to(device),
        deviation=std.float().to(device),
        layers=layers,
        suspects=sorted(suspects),
        patching={**patching, "grid": grid},
        origin=train.origin,
        features_digest=_digest(train, *others),
    )


def _digest(*splits: Split) -> str:
    return hashlib.sha256(" ".join(split.digest() for split in splits).encode()).hexdigest()


def save_prototype(path: Path, prototype: Prototype) -> None:
    """Writes a prototype, whole or not at all.

    Args:
        path: the file.
        prototype: the prototype.
    """
    tensors = {
        **{f"gaussian/{name}": tensor for name, tensor in vars(prototype.gaussian).items()},
        "images": prototype.images,
        "left_out": prototype.left_out,
        "shift": prototype.shift,
        "matrix": prototype.matrix,
        "deviation": prototype.deviation,
    }
    metadata = {
        "layers": prototype.layers,
        "suspects": prototype.suspects,
        "patching": prototype.patching,
        "origin": prototype.origin.written(),
        "features_digest": prototype.features_digest,
    }
    save_tensors(path, "prototype", tensors, metadata)


def load_prototype(path: Path, device: torch.device) -> Prototype:
    """Reads what `save_prototype` wrote.

    Args:
        path: the file.
        device: where features are to be computed.

    Returns:
        The prototype.

    Raises:
        ArtifactError: the file is missing or broken.
    """
    tensors, metadata = load_tensors(path, "prototype")
    gaussian = {name.removeprefix("gaussian/"): tensor for name, tensor in tensors.items() if "/" in name}
    return Prototype(
        gaussian=Gaussian(**gaussian),
        images=tensors["images"],
        left_out=tensors["left_out"],
        shift=tensors["shift"].to(device),
        matrix=tensors["matrix"].to(device),
        deviation=tensors["deviation"].to(device),
        layers=metadata["layers"],
        suspects=metadata["suspects"],
        patching=metadata["patching"],
        origin=Origin(**metadata["origin"]),
        features_digest=metadata["features_digest"],
    )


def require_own_features(prototype: Prototype, *splits: Split) -> None:
    """Refuses a store that changed after the prototype was made.

    Args:
        prototype: the prototype.
        *splits: the product's `learned_splits`, as in `build_prototype`.

    Raises:
        StoreError: names the store.
    """
    if _digest(*splits) != prototype.features_digest:
        raise StoreError(f"{splits[0].path} changed after its prototype was made; run `dvc repro`")
