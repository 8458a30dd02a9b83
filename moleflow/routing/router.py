"""The router: how far images are from every known product, and whether they show one of them at all."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.config.registry import call, choose
from moleflow.features.prototype import Prototype
from moleflow.files.artifacts import ArtifactError
from moleflow.files.feature_store import Split
from moleflow.routing.regions import Regions, with_regions
from moleflow.routing.rejection import OwnImages, rejected
from moleflow.routing.routers import ROUTERS, Neighbors


class Router:
    """A router over K known products.

    Attributes:
        name: which member of `ROUTERS` it is.
        prototypes: the products' prototypes, in order of arrival.
    """

    def __init__(
        self,
        name: str,
        prototypes: dict[str, Prototype],
        own_images: dict[str, OwnImages],
        *,
        candidates: int = 1,
        regions: dict[str, Regions] | None = None,
    ) -> None:
        """Makes a router.

        Args:
            name: name in `ROUTERS`.
            prototypes: the known products' prototypes, in order of arrival.
            own_images: how far the products' own images lie from those most like them, for rejection.
            candidates: how many products judge an image, for the router two_stage.
            regions: of every product, for the router regional.

        Raises:
            ChoiceError: the router is unknown.
            ArtifactError: the prototypes were made of patch features of different kinds.
        """
        _require_alike(prototypes)
        self.name, self.prototypes = name, prototypes
        known = list(prototypes.values())
        self.own_images = [own_images[product] for product in prototypes]
        self._regions = [regions[product] for product in prototypes] if regions else []
        settings: dict[str, Any] = {"router_candidates": candidates, "regions": self._regions}
        self._distances = call(choose(ROUTERS, name, "router"), settings, known)
        self._strangeness = Neighbors(known, whole=True)

    @property
    def candidates(self) -> int:
        """How many products judge an image; 1 if the nearest one is chosen."""
        return self._distances.candidates

    def embed(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N E"]:
        """What the router looks at.

        Args:
            features: patch features of N images, not standardized, which are the same for all products.

        Returns:
            Embeddings, on the processor; before them the means of the regions, for the router regional.
        """
        first = next(iter(self.prototypes.values()))
        embedded = first.embeddings(features)
        if not self._regions:
            return embedded
        return with_regions(features, embedded, side=self._regions[0].side, channels=first.layers[-1])

    def embed_split(self, split: Split) -> Float[Tensor, "N E"]:
        """The same of a split's images.

        Args:
            split: the split, N images.

        Returns:
            See `embed`.

        Raises:
            StoreError: the split has features of another backbone, layer set or image size.
        """
        first = next(iter(self.prototypes.values()))
        first.require_origin(split)
        return torch.cat([self.embed(first.patch_features(maps)) for maps in split.batches()])

    def distances(self, embedded: Float[Tensor, "N E"], own: str | None = None) -> np.ndarray:
        """Distances of images to every product; the nearest is chosen.

        Args:
            embedded: from `embed`, of N images.
            own: the product that they show, which only the oracle uses; None if it is not known.

        Returns:
            (N, K), float64.
        """
        return self._distances(embedded, None if own is None else list(self.prototypes).index(own)).numpy()

    def strangeness(self, embedded: Float[Tensor, "N E"]) -> np.ndarray:
        """How far images are from the images of every product, whatever the router: what rejection uses.

        Args:
            embedded: from `embed`, of N images.

        Returns:
            Distances of `moleflow.routing.routers.Neighbors` by the channels of all layers, (N, K), float64.
        """
        return self._strangeness(embedded, None).numpy()

    def known_p_values(self, strangeness: np.ndarray) -> np.ndarray:
        """P-values of images against every product's own; see `moleflow.routing.rejection.OwnImages`.

        Args:
            strangeness: from `strangeness`, (N, K).

        Returns:
            (N, K), in [0, 1].
        """
        columns = zip(self.own_images, strangeness.T, strict=True)
        return np.stack([own_images.p_values(column) for own_images, column in columns], axis=1)

    def rejected(self, strangeness: np.ndarray, reject_rate: float) -> np.ndarray:
        """Which images show no known product: `moleflow.routing.rejection.rejected`, asking the nearest product alone.

        Args:
            strangeness: from `strangeness`, (N, K).
            reject_rate: tolerated share of rejected images of known products; 0 rejects none.

        Returns:
            (N,), bool.
        """
        known = np.ones_like(strangeness)
        nearest = strangeness.argmin(1)
        for product in set(nearest.tolist()):
            rows = nearest == product
            known[rows, product] = self.own_images[product].p_values(strangeness[rows, product])
        return rejected(known, strangeness, reject_rate)


def _require_alike(prototypes: dict[str, Prototype]) -> None:
    """Refuses prototypes of patch features of different kinds."""
    first, *others = prototypes.items()
    for product, prototype in others:
        for what in ("origin", "patching", "layers"):
            if getattr(prototype, what) != getattr(first[1], what):
                raise ArtifactError(
                    f"the prototypes of {first[0]} and {product} differ in {what}: {getattr(first[1], what)} and "
                    f"{getattr(prototype, what)}; run `dvc repro`"
                )


def margins(distances: np.ndarray) -> np.ndarray:
    """How clearly the nearest product is the nearest.

    Args:
        distances: from `Router.distances`, (N, K).

    Returns:
        1 − nearest/second nearest, (N,), from 0 (a tie) to 1; NaN if only one product is known.
    """
    if distances.shape[1] == 1:
        return np.full(len(distances), np.nan)
    nearest, second = np.partition(distances, 1, axis=1)[:, :2].T
    found: np.ndarray = np.divide(second - nearest, second, out=np.zeros_like(second), where=second > 0)
    return found
