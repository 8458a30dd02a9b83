"""A product's prototype: how its images become standardised patch features, and how it is recognised."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from moleflow.artifacts import load_tensors, save_tensors
from moleflow.choices import choose
from moleflow.patches import embeddings, patch_features
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
        center: mean embedding, (C,).
        directions: orthonormal directions of the embeddings' covariance, (r, C).
        variances: the covariance's eigenvalues along them, (r,), shrunk.
        floor: variance along every other direction, ().
        shift, scale: standardisation of a patch feature, (C,) each.
        patching: arguments of `patch_features`.
        origin: backbone, layers and view of the features.
        features_digest: SHA-256 of the training features, the link from experts to data.
    """

    center: Float[Tensor, " C"]
    directions: Float[Tensor, "r C"]
    variances: Float[Tensor, " r"]
    floor: Float[Tensor, ""]
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
        return split.read(lambda maps: embeddings(patch_features(maps, **self.patching)))

    def standardised(self, split: Split, rows: np.ndarray | None = None) -> Float[Tensor, "N H W C"]:
        """Standardised patch features of a split's images (or of some rows), fp16."""

        def standardise(maps: list[Tensor]) -> Tensor:
            return ((patch_features(maps, **self.patching) - self.shift) / self.scale).half()

        require_same_origin(self.origin, split.origin, Path(str(split.group.store_path)))
        return split.read(standardise, rows)


def build_prototype(train: Split, *, patching: dict[str, Any], standardize: str, router_rank: int) -> Prototype:
    """Learns a prototype from the training split of a product.

    The covariance of the embeddings is singular (fewer images than channels), so it is shrunk
    towards a multiple of the identity and kept as its leading eigenvectors and one floor.

    Args:
        train: the training split.
        patching: arguments of `patch_features`.
        standardize: name in `STANDARDIZATIONS`.
        router_rank: eigenvectors kept, at most images − 1 and channels − 1.

    Source: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", 2004, for the shrinkage.
    """
    features = train.read(lambda maps: patch_features(maps, **patching))
    pooled = embeddings(features)
    covariance, _ = ledoit_wolf(pooled.double().numpy())
    variances, directions = torch.linalg.eigh(torch.from_numpy(covariance))  # ascending
    rank = min(router_rank, len(pooled) - 1, len(variances) - 1)
    kept = slice(len(variances) - rank, None)
    mean, std = features.mean((0, 1, 2)), features.flatten(0, 2).std(0)
    shift, scale = choose(STANDARDIZATIONS, standardize, "standardize")(mean, std)
    return Prototype(
        center=pooled.mean(0),
        directions=directions.T[kept].float(),
        variances=variances[kept].float(),
        floor=variances[: len(variances) - rank].mean().float(),
        shift=shift,
        scale=scale,
        patching={**patching, "grid": features.shape[1]},
        origin=train.origin,
        features_digest=train.digest(),
    )


def save_prototype(path: Path, prototype: Prototype) -> None:
    """Writes a prototype, whole or not at all."""
    names = ("center", "directions", "variances", "floor", "shift", "scale")
    metadata = {
        "patching": prototype.patching,
        "origin": vars(prototype.origin),
        "features_digest": prototype.features_digest,
    }
    save_tensors(path, {name: getattr(prototype, name) for name in names}, metadata)


def load_prototype(path: Path) -> Prototype:
    """Reads a prototype."""
    tensors, metadata = load_tensors(path)
    return Prototype(
        **tensors,
        patching=metadata["patching"],
        origin=Origin(**metadata["origin"]),
        features_digest=metadata["features_digest"],
    )


def training_features(prototype: Prototype, train: Split) -> Float[Tensor, "N H W C"]:
    """Standardised training features, refused if the prototype was made from others.

    Raises:
        StoreError: the store changed after the prototype was made.
    """
    if train.digest() != prototype.features_digest:
        raise StoreError(f"{train.group.store_path} changed after its prototype was made; run `dvc repro`")
    return prototype.standardised(train)
