"""A product's prototype: how its images become standardised patch features, and how it is recognised."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.artifacts import load_tensors, save_tensors
from moleflow.choices import choose
from moleflow.features import StandardisedFeatures
from moleflow.patches import embeddings, patch_features
from moleflow.router import Gaussian, fit_gaussian, held_out_strangeness
from moleflow.store import Origin, Split, StoreError, require_same_origin


def _no_scaling(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(mean), torch.ones_like(std)


def _by_product(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """A channel that hardly varies is not blown up beyond a thousand times the average one."""
    return mean, std.clamp_min(1e-3 * std.mean())


STANDARDIZATIONS = {"none": _no_scaling, "product": _by_product}


@dataclass(frozen=True)
class Prototype:
    """Statistics of a product's normal training images.

    Attributes:
        gaussian: where their embeddings lie.
        held_out: strangeness that images of the product have when its centre has not seen them, (N,).
        shift, scale: standardisation of a patch feature, (C,) each.
        patching: arguments of `patch_features`.
        origin: backbone, layers and view of the features.
        features_digest: SHA-256 of the features of all normal images, the link from experts to data.
    """

    gaussian: Gaussian
    held_out: Float[Tensor, " N"]
    shift: Float[Tensor, " C"]
    scale: Float[Tensor, " C"]
    patching: dict[str, Any]
    origin: Origin
    features_digest: str

    @property
    def log_det(self) -> float:
        """Log-determinant of the standardisation of one patch, −Σ log scale, in nats."""
        return -float(self.scale.double().log().sum())

    def embeddings(self, split: Split) -> Float[Tensor, "N C"]:
        """Router embeddings of a split's images."""
        return torch.cat([embeddings(patch_features(maps, **self.patching)) for maps in split.shards()])

    def standardised(self, *splits: Split) -> StandardisedFeatures:
        """Standardised patch features of the images of one or several splits of a store.

        Raises:
            StoreError: a split has features of another backbone, layer set or image size.
        """
        for split in splits:
            require_same_origin(self.origin, split.origin, Path(str(split.group.store_path)))
        return StandardisedFeatures(splits, self.patching, self.shift, self.scale)


def build_prototype(
    train: Split, *others: Split, patching: dict[str, Any], standardize: str, router_rank: int
) -> Prototype:
    """Learns a prototype from the training split of a product, shard by shard.

    Args:
        train: the training split.
        others: the other normal images of the product; of them only the digest is taken.
        patching: arguments of `patch_features`.
        standardize: name in `STANDARDIZATIONS`.
        router_rank: directions kept of the embeddings' covariance.
    """
    grid, channels = patch_features(train.maps(slice(0, 1)), **patching).shape[2:]
    # Filled in place: small results kept between large temporary ones would tear the heap apart.
    embedded = torch.empty(len(train.images), channels)
    total, squares = torch.zeros(2, channels, dtype=torch.float64)
    done = 0
    for maps in train.shards():
        features = patch_features(maps, **patching)
        embedded[done : done + len(features)] = embeddings(features)
        done += len(features)
        values = features.flatten(0, 2).double()
        total += values.sum(0)
        squares += values.square_().sum(0)
    patches = done * grid**2
    variance = (squares - total.square() / patches).clamp_min(0) / (patches - 1)
    mean, std = (total / patches).float(), variance.sqrt().float()
    shift, scale = choose(STANDARDIZATIONS, standardize, "standardize")(mean, std)
    return Prototype(
        gaussian=fit_gaussian(embedded, router_rank),
        held_out=held_out_strangeness(embedded),
        shift=shift,
        scale=scale,
        patching={**patching, "grid": grid},
        origin=train.origin,
        features_digest=_digest(train, *others),
    )


def _digest(*splits: Split) -> str:
    return hashlib.sha256(" ".join(split.digest() for split in splits).encode()).hexdigest()


def save_prototype(path: Path, prototype: Prototype) -> None:
    """Writes a prototype, whole or not at all."""
    tensors = {
        **{f"gaussian/{name}": value for name, value in vars(prototype.gaussian).items()},
        "held_out": prototype.held_out,
        "shift": prototype.shift,
        "scale": prototype.scale,
    }
    metadata = {
        "patching": prototype.patching,
        "origin": vars(prototype.origin),
        "features_digest": prototype.features_digest,
    }
    save_tensors(path, tensors, metadata)


def load_prototype(path: Path) -> Prototype:
    """Reads a prototype."""
    tensors, metadata = load_tensors(path)
    gaussian = {name.removeprefix("gaussian/"): value for name, value in tensors.items() if "/" in name}
    return Prototype(
        gaussian=Gaussian(**gaussian),
        held_out=tensors["held_out"],
        shift=tensors["shift"],
        scale=tensors["scale"],
        patching=metadata["patching"],
        origin=Origin(**metadata["origin"]),
        features_digest=metadata["features_digest"],
    )


def require_own_features(prototype: Prototype, *splits: Split) -> None:
    """Refuses a store that changed after the prototype was made.

    Raises:
        StoreError: names the store.
    """
    if _digest(*splits) != prototype.features_digest:
        raise StoreError(f"{splits[0].group.store_path} changed after its prototype was made; run `dvc repro`")
