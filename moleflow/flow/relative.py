"""The likelihood of a patch beside that of normal patches that look like it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.func import functional_call

from moleflow.compute.device import in_double
from moleflow.compute.precision import matrix_products
from moleflow.features.image_features import ImageFeatures
from moleflow.features.normal_patches import NormalPatches
from moleflow.files.feature_store import READ_AT_ONCE
from moleflow.flow.density import Density

LEANING = 20  # patches: so much does a reference of few patches lean on that of all


@dataclass(frozen=True)
class RelativeLikelihood:
    """How unlikely training patches are, in groups: those whose nearest kept patch in the deepest layer is the same.

    A negative log-likelihood says how busy a patch is; beside that of its like it says whether the patch is odd for its
    kind. Where nothing alike is known it is blind, so it belongs beside a distance.

    Attributes:
        mean, deviation: of the nll of each kept patch's group, (M,), in nats; small groups lean on all patches.

    Source: docs/method.md, Relative likelihood.
    """

    mean: Float[Tensor, " M"]
    deviation: Float[Tensor, " M"]

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        density: Density,
        expert: dict[str, Tensor],
        features: ImageFeatures,
        normal: NormalPatches,
        dtype: torch.dtype,
    ) -> "RelativeLikelihood | None":
        """Learns from the images that the expert learned from.

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
        kept = len(normal.memory.patches[-1])
        # Number, sum and sum of squares: millions of patches may be alike.
        sums = torch.zeros(3, kept, dtype=torch.float64, device=in_double(features.device))
        for start in range(0, len(features), READ_AT_ONCE):
            batch = features[start : start + READ_AT_ONCE]
            with matrix_products(features.device, dtype):
                nll = functional_call(density, expert, (batch[..., : density.channels].float(),)).nll.flatten().float()
            _, nearest = normal.memory.search(batch)
            group, values = nearest.flatten().to(sums.device), nll.to(sums)
            for row, added in enumerate((torch.ones_like(values), values, values.square())):
                sums[row].index_add_(0, group, added)
        count, total, squares = sums
        mean = total.sum() / count.sum()
        variance = (squares.sum() / count.sum() - mean.square()).clamp_min(0)
        own = (total + LEANING * mean) / (count + LEANING)
        around = (squares - 2 * own * total + count * own.square()).clamp_min(0)
        deviation = ((around + LEANING * variance) / (count + LEANING)).sqrt()
        deviation = deviation.clamp_min(1e-6 * (1 + mean.abs()))
        return cls(own.float().to(features.device), deviation.float().to(features.device))

    def __call__(self, nll: Float[Tensor, "N H W"], nearest: Int64[Tensor, "N H W"]) -> Float[Tensor, "N H W"]:
        """How unlikely patches are for their kind.

        Args:
            nll: by the same density, in nats.
            nearest: number of the kept patch of the deepest layer that is nearest to each.

        Returns:
            (nll − mean)/deviation of the group.
        """
        return (nll - self.mean[nearest]) / self.deviation[nearest]
