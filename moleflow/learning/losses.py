"""The training objective."""

from jaxtyping import Float
from torch import Tensor


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
