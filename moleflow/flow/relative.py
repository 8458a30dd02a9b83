"""A density's likelihood beside that of normal patches that look alike."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import functional_call

from moleflow.compute.precision import matrix_products
from moleflow.features.image_features import ImageFeatures
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.relative_likelihood import RelativeLikelihood
from moleflow.files.feature_store import READ_AT_ONCE
from moleflow.flow.density import Density


@torch.inference_mode()
def relative_likelihood(
    density: Density,
    expert: dict[str, Tensor],
    features: ImageFeatures,
    normal: NormalPatches,
    dtype: torch.dtype,
) -> RelativeLikelihood | None:
    """How unlikely the patches are, by a density, that its expert learned from.

    Args:
        density: base and expert, as training left it.
        expert: the expert's tensors by name, put in the density's place.
        features: standardized patch features of the images, (N, H, W, C), all channels.
        normal: what is kept of their patches.
        dtype: arithmetic of the matrix products.

    Returns:
        The references, on the features' device; None without a memory bank.
    """
    if not normal.memory.patches:
        return None

    def judged() -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(features), READ_AT_ONCE):
            batch = features[start : start + READ_AT_ONCE]
            with matrix_products(features.device, dtype):
                likelihood = functional_call(density, expert, (batch[..., : density.channels].float(),))
            yield likelihood.nll, normal.memory.search(batch)[1]

    return RelativeLikelihood.of(judged(), len(normal.memory.patches[-1]), features.device)
