"""A likelihood beside that of normal patches that look alike."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from moleflow.compute.device import in_double

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
    def of(
        cls,
        batches: Iterable[tuple[Tensor, Tensor]],
        kept: int,
        device: torch.device,
    ) -> "RelativeLikelihood":
        """Learns from the images that an expert learned from.

        Args:
            batches: of some images at a time the nll of their patches, (n, H, W), in nats, and the number of the kept
                patch of the deepest layer that is nearest to each, (n, H, W).
            kept: M, how many patches are kept of that layer.
            device: where everything lies.

        Returns:
            The references.
        """
        # Number, sum and sum of squares: millions of patches may be alike.
        sums = torch.zeros(3, kept, dtype=torch.float64, device=in_double(device))
        for nll, nearest in batches:
            group, values = nearest.flatten().to(sums.device), nll.flatten().float().to(sums)
            for row, added in enumerate((torch.ones_like(values), values, values.square())):
                sums[row].index_add_(0, group, added)
        count, total, squares = sums
        mean = total.sum() / count.sum()
        variance = (squares.sum() / count.sum() - mean.square()).clamp_min(0)
        own = (total + LEANING * mean) / (count + LEANING)
        around = (squares - 2 * own * total + count * own.square()).clamp_min(0)
        deviation = ((around + LEANING * variance) / (count + LEANING)).sqrt()
        deviation = deviation.clamp_min(1e-6 * (1 + mean.abs()))
        return cls(own.float().to(device), deviation.float().to(device))

    def __call__(self, nll: Float[Tensor, "N H W"], nearest: Int64[Tensor, "N H W"]) -> Float[Tensor, "N H W"]:
        """How unlikely patches are for their kind.

        Args:
            nll: by what gave that of the training patches, in nats.
            nearest: number of the kept patch of the deepest layer that is nearest to each.

        Returns:
            (nll − mean)/deviation of the group.
        """
        return (nll - self.mean[nearest]) / self.deviation[nearest]
