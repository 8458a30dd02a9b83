"""The training objective: a likelihood that minds the tail, and terms with a weight each."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.config.registry import Settings, call
from moleflow.flow.density import Density, Likelihood
from moleflow.learning.score_matching import denoising

Weight = float | list[float]
"""Of a term: one number, or the first and the last."""
MARGIN = 1.0  # nats per channel, by which a painted image is to be less likely than a normal one


class Seen(NamedTuple):
    """What a training step knows of a batch.

    Attributes:
        density: base and expert, with the tensors that computed the likelihood in place.
        aligned: features after the alignment, (B, H, W, C).
        likelihood: of the batch.
        nll: its negative log-likelihood, (B, H, W), in nats.
        painted: likelihood of images with painted defects, at most B; None if there are none.
        generator: draws noise, on the processor; None for torch's own.
    """

    density: Density
    aligned: Float[Tensor, "B H W C"]
    likelihood: Likelihood
    nll: Float[Tensor, "B H W"]
    painted: Likelihood | None
    generator: torch.Generator | None


def tail_aware_loss(
    nll: Float[Tensor, "B H W"],
    log_det: Float[Tensor, "B H W"],
    *,
    tail_weight: float,
    tail_ratio: float,
    lambda_logdet: float,
    focal_gamma: float,
    dsm_weight: float,
) -> Float[Tensor, ""]:
    """(1−d)·((1−w)·mean(nll) + w·mean(the k largest nll of each image)) + λ·mean(log_det²).

    Args:
        nll: negative log-likelihood per patch, (B, H, W), in nats.
        log_det: log-determinant per patch, (B, H, W), in nats.
        tail_weight: w in [0, 1]; 0 is maximum likelihood.
        tail_ratio: share of an image's patches in its tail; k = max(1, ⌊H·W·ratio⌋).
        lambda_logdet: λ; 0 leaves the log-determinant free.
        focal_gamma: of `focal`, which weighs the nll first; 0 weighs all patches alike.
        dsm_weight: d in [0, 1], what denoising score matching takes away from the likelihood.

    Returns:
        The loss, a scalar, in nats per patch.

    Source: docs/method.md, Loss and training.
    """
    flat = nll.flatten(1)  # (B, H·W)
    flat = focal(flat, focal_gamma) if focal_gamma else flat
    tail = flat.topk(tail_size(flat, tail_ratio), dim=1).values
    likelihood = (1 - tail_weight) * flat.mean() + tail_weight * tail.mean()
    return (1 - dsm_weight) * likelihood + lambda_logdet * log_det.square().mean()


def tail_size(flat: Float[Tensor, "B P"], tail_ratio: float) -> int:
    """How many patches of an image are its tail.

    Args:
        flat: patches of images, (B, P).
        tail_ratio: share of an image's patches.

    Returns:
        k, at least 1.
    """
    return max(1, int(flat.shape[1] * tail_ratio))


def focal(nll: Float[Tensor, "B P"], gamma: float) -> Float[Tensor, "B P"]:
    """Weighs each patch by how unlikely it is within its image, from 0 for the most likely to 1.

    Args:
        nll: negative log-likelihood per patch, (B, P), in nats.
        gamma: power of the weight; the larger, the more the least likely patches count.

    Returns:
        Weighted nll, (B, P); no gradient goes through the weights.

    Source: docs/method.md, Loss and training.
    """
    known = nll.detach()
    least, most = known.amin(1, keepdim=True), known.amax(1, keepdim=True)
    return ((known - least) / (most - least).clamp_min(1e-6)) ** gamma * nll


def identity(seen: Seen) -> Float[Tensor, ""]:
    """How far the alignment is from the identity, in the first task alone, where the base learns with it.

    Args:
        seen: a batch.

    Returns:
        The departure of the alignment; 0 in later tasks.

    Source: docs/method.md, Alignment.
    """
    nothing = seen.aligned.new_zeros(())
    return nothing + seen.density.alignment.departure() if seen.density.first else nothing


def center(seen: Seen) -> Float[Tensor, ""]:
    """Mean of ‖z‖² over patches: latents are drawn to the center of the normal distribution.

    Args:
        seen: a batch.

    Returns:
        The mean, a scalar.

    Source: docs/method.md, Loss and training.
    """
    return 2 * seen.likelihood.latent.mean()


def score_matching(seen: Seen, *, dsm_sigma: list[float], dsm_projections: int) -> Float[Tensor, ""]:
    """Denoising score matching of the density over aligned features.

    Args:
        seen: a batch.
        dsm_sigma: smallest and largest noise.
        dsm_projections: directions per patch; 0 for the whole score.

    Returns:
        The loss, a scalar.

    Source: docs/method.md, Loss and training.
    """
    return denoising(
        seen.density, seen.aligned, sigmas=dsm_sigma, projections=dsm_projections, generator=seen.generator
    )


def clean(seen: Seen) -> Float[Tensor, ""]:
    """Mean nll of the batch as it is, which score matching alone does not ask for.

    Args:
        seen: a batch.

    Returns:
        The mean, a scalar, in nats per patch.
    """
    return seen.nll.mean()


def margin(seen: Seen, *, tail_ratio: float) -> Float[Tensor, ""]:
    """How much the tails of painted images fail to be less likely than those of normal ones by `MARGIN`.

    Args:
        seen: a batch; its images and the painted ones meet in pairs, at random.
        tail_ratio: share of an image's patches in its tail.

    Returns:
        The mean over the pairs, a scalar, in nats per patch.

    Source: docs/method.md, Loss and training.
    """
    assert seen.painted is not None, "training refuses a margin without painted images"
    tails = []
    for nll in (seen.nll, seen.painted.nll):
        flat = nll.flatten(1)
        tails.append(flat.topk(tail_size(flat, tail_ratio), dim=1).values.mean(1))
    normal, painted = tails
    wanted = MARGIN * seen.aligned.shape[-1]
    return (wanted + normal[: len(painted)] - painted).relu().mean()


# What is added to the tail-aware loss, by the key of its weight; a weight of 0 leaves the term out.
TERMS: dict[str, Callable[..., Tensor]] = {
    "identity_weight": identity,
    "center_weight": center,
    "dsm_weight": score_matching,
    "dsm_clean_weight": clean,
    "margin_weight": margin,
}


def annealed(weight: Weight, progress: float) -> float:
    """The weight of a term at some time of the training.

    Args:
        weight: one for all times, or the first and the last.
        progress: share of the steps that are done, in [0, 1).

    Returns:
        The weight, on a straight line between the two.
    """
    first, last = weight if isinstance(weight, list) else (weight, weight)
    return first + (last - first) * progress


def objective(seen: Seen, settings: Settings, progress: float) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The tail-aware loss and the terms that have a weight.

    Args:
        seen: a batch.
        settings: what `tail_aware_loss` and the terms ask for, and the weights in `TERMS`.
        progress: share of the training's steps that are done, in [0, 1).

    Returns:
        The loss, a scalar, in nats per patch, and each weighted term by the key of its weight without "_weight".
    """
    weights = {key: annealed(settings[key], progress) for key in TERMS}
    loss = call(tail_aware_loss, {**settings, **weights}, seen.nll, seen.likelihood.log_det)
    terms = {
        key.removesuffix("_weight"): weights[key] * call(term, settings, seen)
        for key, term in TERMS.items()
        if settings[key]  # a weight that only begins at 0 is told from the first step on
    }
    return sum(terms.values(), start=loss), terms
