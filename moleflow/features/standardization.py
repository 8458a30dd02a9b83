"""Standardization of patch features, by the mean and covariance of a product's normal ones."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# Standard deviations at which a standardized feature is cut off. A channel that hardly varies among the normal images
# may react to a defect and would leave the range of fp16 (65,504) and then the flow's; no normal feature comes near.
BOUND = 1000.0


def standardized(
    features: Float[Tensor, "N H W C"], shift: Float[Tensor, " C"], matrix: Float[Tensor, "C D"]
) -> Float[Tensor, "N H W D"]:
    """Standardizes patch features.

    Args:
        features: patch features, (N, H, W, C).
        shift: what is subtracted from each, (C,).
        matrix: what the difference, as a row, is multiplied by, (C, D).

    Returns:
        (x − shift)·matrix, (N, H, W, D), fp16.
    """
    return F.linear(features, matrix.T, -shift @ matrix).clamp(-BOUND, BOUND).half()


# A member maps the mean of a product's patch features, (C,), their standard deviation, (C,), their
# correlations, (C, C), and the channels of each layer to what is subtracted, (C,), and to the matrix that
# the difference is multiplied by, (C, C).
Standardization = tuple[Tensor, Tensor]


def _nothing(mean: Tensor, std: Tensor, correlation: Tensor, layers: list[int]) -> Standardization:
    return torch.zeros_like(mean), torch.eye(len(mean), dtype=mean.dtype)


def _scale(mean: Tensor, std: Tensor, correlation: Tensor, layers: list[int]) -> Standardization:
    return mean, (1 / std).diag()


def _whiten(mean: Tensor, std: Tensor, correlation: Tensor, layers: list[int]) -> Standardization:
    """ZCA-cor whitening of each layer's channels, under correlations shrunk by 5 % toward none.

    The shrinkage keeps directions that hardly vary from being amplified by more than 1/√0.05; the probe
    ranks 0.01 and 0.2 lower (docs/tried.md). Layers stay apart, so that each layer's channels can be
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
