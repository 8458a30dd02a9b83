"""A product's prototype: how its images become standardised patch features, and how it is recognised."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.choices import choose
from moleflow.features import StandardisedFeatures
from moleflow.params import ParamsError
from moleflow.patches import embeddings, layer_channels, patch_features
from moleflow.router import Gaussian, fit_gaussian, held_out_strangeness
from moleflow.store import Origin, Split, StoreError, require_same_origin
from moleflow.tensors_file import load_tensors, save_tensors

# A member maps the mean of a product's patch features, (C,), their standard deviation, (C,), their
# correlations, (C, C), and the channels of each layer to what is subtracted, (C,), and to the matrix that
# the difference is multiplied by, (C, C).
Standardization = tuple[Tensor, Tensor]


def _nothing(mean: Tensor, std: Tensor, correlation: Tensor, layers: list[int]) -> Standardization:
    return torch.zeros_like(mean), torch.eye(len(mean), dtype=mean.dtype)


def _scale(mean: Tensor, std: Tensor, correlation: Tensor, layers: list[int]) -> Standardization:
    return mean, (1 / std).diag()


def _whiten(mean: Tensor, std: Tensor, correlation: Tensor, layers: list[int]) -> Standardization:
    """ZCA-cor whitening of each layer's channels, under correlations shrunk by 5 % towards none.

    The shrinkage keeps directions that hardly vary from being blown up by more than 1/√0.05; the probe
    ranks 0.01 and 0.2 lower (docs/quality.md). Layers stay apart, so that each layer's channels can be
    compared alone.

    Source: Kessy, Lewin and Strimmer, "Optimal whitening and decorrelation", 2018, section 2.2.
    """
    shrinkage = 0.05
    blocks = []
    for rows in torch.arange(len(mean)).split(layers):
        block = (1 - shrinkage) * correlation[rows][:, rows] + shrinkage * torch.eye(len(rows), dtype=mean.dtype)
        variances, directions = torch.linalg.eigh(block)
        blocks.append((directions / variances.sqrt()) @ directions.T)
    return mean, torch.block_diag(*blocks) / std[:, None]


STANDARDIZATIONS = {"none": _nothing, "product": _scale, "whiten": _whiten}


@dataclass(frozen=True)
class Prototype:
    """Statistics of a product's normal training images.

    Attributes:
        gaussian: where their embeddings lie.
        held_out: strangeness that images of the product have when its centre has not seen them, (N,).
        shift, matrix: standardisation of a patch feature x, a row: (x − shift)·matrix; (C,) and (C, C).
        deviation: standard deviation of every channel, (C,).
        layers: channels of a patch feature that come from each layer.
        patching: arguments of `patch_features`.
        origin: backbone, layers and view of the features.
        features_digest: SHA-256 of the features of all normal images, the link from experts to data.
    """

    gaussian: Gaussian
    held_out: Float[Tensor, " N"]
    shift: Float[Tensor, " C"]
    matrix: Float[Tensor, "C C"]
    deviation: Float[Tensor, " C"]
    layers: list[int]
    patching: dict[str, Any]
    origin: Origin
    features_digest: str

    def log_det(self, channels: int) -> float:
        """Log-determinant of the standardisation of a patch's first channels, whole layers, in nats."""
        return float(torch.linalg.slogdet(self.matrix[:channels, :channels].double()).logabsdet)

    def modelled(self, flow_layers: int) -> int:
        """Channels of the first layers, which the flow models; 0 layers means all.

        Raises:
            ParamsError: there are not so many layers side by side.
        """
        if flow_layers > len(self.layers):
            raise ParamsError(
                f"params.yaml: flow_layers: {flow_layers} of {len(self.layers)} layers; a patch feature keeps its "
                "layers apart only with layer_merge: concat and all their channels as embed_dim; 0 takes everything"
            )
        return sum(self.layers[:flow_layers] or self.layers)

    def embeddings(self, split: Split) -> Float[Tensor, "N D"]:
        """Router embeddings of a split's images.

        Raises:
            StoreError: the split has features of another backbone, layer set or image size.
        """
        self.require_origin(split)
        deepest = self.layers[-1]
        return torch.cat([embeddings(patch_features(maps, **self.patching), deepest) for maps in split.batches()])

    def standardised(self, *splits: Split) -> StandardisedFeatures:
        """Standardised patch features of the images of one or several splits of a store.

        Raises:
            StoreError: a split has features of another backbone, layer set or image size.
        """
        self.require_origin(*splits)
        return StandardisedFeatures(splits, self.patching, self.shift, self.matrix)

    def require_origin(self, *splits: Split) -> None:
        """Refuses features that this prototype cannot be compared with.

        Raises:
            StoreError: a split has features of another backbone, layer set or image size.
        """
        for split in splits:
            require_same_origin(self.origin, split.origin, Path(str(split.group.store_path)))

    def scaled(self, *splits: Split) -> StandardisedFeatures:
        """The same with every channel at unit variance, whatever `standardize`: what rivals are given.

        Raises:
            StoreError: a split has features of another backbone, layer set or image size.
        """
        self.require_origin(*splits)
        return StandardisedFeatures(splits, self.patching, self.shift, (1 / self.deviation).diag())


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

    Raises:
        StoreError: there are fewer than two training images, or all are alike; names the store.
    """
    store = train.group.store_path
    if len(train.images) < 2:
        raise StoreError(
            f"{store} has {len(train.images)} training images; 2 different ones are needed, 100 or more are good: "
            "add images or lower calibration_fraction"
        )
    sample = train.maps(slice(0, 1))
    grid, channels = patch_features(sample, **patching).shape[2:]
    layers = layer_channels(sample, embed_dim=patching["embed_dim"], layer_merge=patching["layer_merge"])
    # Filled in place: small results kept between large temporary ones would tear the heap apart.
    embedded = torch.empty(len(train.images), layers[-1])
    total, products = torch.zeros(channels, dtype=torch.float64), torch.zeros(channels, channels, dtype=torch.float64)
    done = 0
    for maps in train.batches():
        features = patch_features(maps, **patching)
        embedded[done : done + len(features)] = embeddings(features, layers[-1])
        done += len(features)
        values = features.flatten(0, 2).double()
        total += values.sum(0)
        products.addmm_(values.T, values)
    patches = done * grid**2
    mean = total / patches
    if (embedded - embedded[0]).abs().max() <= 2**-10 * embedded.abs().max():  # nothing beyond fp16's last place
        raise StoreError(
            f"the training images of {store} are all alike to the backbone; at least 2 different ones are needed: "
            "look at the product's folder"
        )
    covariance = (products - patches * mean.outer(mean)) / (patches - 1)
    std = covariance.diag().clamp_min(0).sqrt()
    std = std.clamp_min(1e-3 * std.mean())  # a channel that hardly varies is not blown up
    standardization = choose(STANDARDIZATIONS, standardize, "standardize")
    shift, matrix = standardization(mean, std, covariance / std.outer(std), layers)
    return Prototype(
        gaussian=fit_gaussian(embedded, router_rank),
        held_out=held_out_strangeness(embedded),
        shift=shift.float(),
        matrix=matrix.float(),
        deviation=std.float(),
        layers=layers,
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
        "matrix": prototype.matrix,
        "deviation": prototype.deviation,
    }
    metadata = {
        "layers": prototype.layers,
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
        matrix=tensors["matrix"],
        deviation=tensors["deviation"],
        layers=metadata["layers"],
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
