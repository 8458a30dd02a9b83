"""Standardizations of patch features, from mean and covariance of a product's normal ones."""

import torch
from torch import Tensor

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
