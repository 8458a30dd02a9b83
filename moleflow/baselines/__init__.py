"""Baselines: other methods on the same features, in place of the density.

Each is fitted on a product's training features, every channel scaled to unit variance, and returns a distance for
every patch of an image; routing, calibration, aggregation and evaluation are the same as for the flow. It reads the
training features part by part: kNN parts of ten times its `coreset_size`, the others a few images; PaDiM says so if its
covariances are larger than `feature_memory`.
"""

from collections.abc import Callable
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from moleflow.baselines.knn import KNN
from moleflow.baselines.padim import PaDiM
from moleflow.baselines.pca import PCA


class Baseline(Protocol):
    """A fitted baseline; it is made from `ImageFeatures`, and from keys of params.yaml as keyword-only arguments."""

    def distances(self, features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N H W"]:
        """One distance per patch, higher is more anomalous.

        Args:
            features: patch features, (N, H, W, C).

        Returns:
            Distances, (N, H, W).
        """
        ...


BASELINES: dict[str, Callable[..., Baseline]] = {"knn": KNN, "padim": PaDiM, "pca": PCA}
