"""The training objective: a likelihood that minds the tail, and terms with a weight each."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from moleflow.config.registry import Settings, call
from moleflow.flow.density import Density, Likelihood


def tail_aware_loss(
    nll: Float[Tensor, "B H W"],
    log_det: Float[Tensor, "B H W"],
    *,
    tail_weight: float,
    tail_ratio: float,
    lambda_logdet: float,
) -> Float[Tensor, ""]:
    """(1−w)·mean(nll) + w·mean(the k largest nll of each image) + λ·mean(log_det²).

    Args:
        nll: negative log-likelihood per patch, (B, H, W), in nats.
        log_det: log-determinant per patch, (B, H, W), in nats.
        tail_weight: w in [0, 1]; 0 is maximum likelihood.
        tail_ratio: share of an image's patches in its tail; k = max(1, ⌊H·W·ratio⌋).
        lambda_logdet: λ; 0 leaves the log-determinant free.

    Returns:
        The loss, a scalar, in nats per patch.

    Source: docs/method.md, Loss and training.
    """
    flat = nll.flatten(1)  # (B, H·W)
    tail = flat.topk(max(1, int(flat.shape[1] * tail_ratio)), dim=1).values
    return (1 - tail_weight) * flat.mean() + tail_weight * tail.mean() + lambda_logdet * log_det.square().mean()


def identity(density: Density, likelihood: Likelihood) -> Float[Tensor, ""]:
    """How far the alignment is from the identity, in the first task alone, where the base learns with it.

    Args:
        density: base and expert.
        likelihood: of a batch; tells the device alone.

    Returns:
        The departure of the alignment; 0 in later tasks.

    Source: docs/method.md, Alignment.
    """
    nothing = likelihood.z.new_zeros(())
    return nothing + density.alignment.departure() if density.first else nothing


# What is added to the tail-aware loss, by the key of its weight; a weight of 0 leaves the term out.
TERMS: dict[str, Callable[[Density, Likelihood], Tensor]] = {"identity_weight": identity}


def objective(
    density: Density, likelihood: Likelihood, nll: Float[Tensor, "B H W"], settings: Settings
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The tail-aware loss and the terms that have a weight.

    Args:
        density: base and expert, with the tensors that computed the likelihood in place.
        likelihood: of a batch.
        nll: its negative log-likelihood, (B, H, W), in nats.
        settings: what `tail_aware_loss` asks for, and the weights in `TERMS`.

    Returns:
        The loss, a scalar, in nats per patch, and each weighted term by the key of its weight without "_weight".
    """
    loss = call(tail_aware_loss, settings, nll, likelihood.log_det)
    terms = {
        key.removesuffix("_weight"): settings[key] * term(density, likelihood)
        for key, term in TERMS.items()
        if settings[key]
    }
    return sum(terms.values(), start=loss), terms
