"""Weights of a product's own in place of LoRA."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.flow.expert_linear import ExpertLinear


class FullWeights(ExpertLinear):
    """y = (W + ΔW)·x + b + Δb: a later task's own layer, which starts as the base's; the first task trains the base's.

    The expert holds the differences, so that it starts as whatever base is loaded, and weight decay pulls it toward the
    base. There is no task bias: Δb is one. Source: docs/method.md, Couplings.
    """

    def __init__(self, in_features: int, out_features: int, *, first: bool, spectral_bound: float) -> None:
        """Creates the layer.

        Args:
            in_features: channels in.
            out_features: channels out.
            first: whether the product belongs to the first task.
            spectral_bound: largest singular value that W may have; 0 for any.
        """
        super().__init__(in_features, out_features, spectral_bound=spectral_bound)
        self.own = nn.ParameterDict()
        if not first:
            self.own["weight"] = torch.zeros(out_features, in_features)
            self.own["bias"] = torch.zeros(out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer.

        Args:
            x: (..., in_features).

        Returns:
            (..., out_features).
        """
        return F.linear(x, self.merged_weight(), self.merged_bias())

    def merged_weight(self) -> Tensor:
        """W + ΔW, (out_features, in_features)."""
        return self.base_weight() + self.own["weight"] if self.own else self.base_weight()

    def merged_bias(self) -> Tensor:
        """b + Δb, (out_features,)."""
        return self.bias + self.own["bias"] if self.own else self.bias
