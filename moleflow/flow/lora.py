"""Low-rank adaptation: what a product adds to a frozen linear layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.compute.precision import in_short_precision
from moleflow.flow.affine import in_autocast_precision
from moleflow.flow.expert_linear import ExpertLinear


class LoRALinear(ExpertLinear):
    """y = (W + (α/r)·B·A)·x + b + b_task.

    `lora_A`, `lora_B` and `task_bias` belong to the expert, `weight` and `bias` to the base. A is
    Xavier-uniform, B and b_task are zero, so a new expert changes nothing. Rank 0 leaves the plain
    layer with a task bias, or without one.

    In fp32 the product B·A is added to W before the patches are multiplied: a training step then
    costs what the plain layer costs. Under a shorter autocast precision W + (α/r)·B·A would be
    rounded to W's last place, and a small α lost: there the patches go through A and B apart, and
    the two results are added in the layer's own precision.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, equation 3;
    docs/method.md, Couplings, for the task bias.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lora_rank: int,
        lora_alpha: float,
        task_bias: bool,
        spectral_bound: float,
    ) -> None:
        """Creates the layer.

        Args:
            in_features: channels in.
            out_features: channels out.
            lora_rank: r, 0 for none.
            lora_alpha: α; α = r adds B·A at full strength.
            task_bias: whether there is b_task.
            spectral_bound: largest singular value that W may have; 0 for any.
        """
        super().__init__(in_features, out_features, spectral_bound=spectral_bound)
        self.scaling = lora_alpha / lora_rank if lora_rank else 0.0
        self.task_bias = nn.Parameter(torch.zeros(out_features)) if task_bias else None
        self.lora_A = nn.Parameter(torch.empty(lora_rank, in_features))
        self.lora_B = nn.Parameter(torch.zeros(out_features, lora_rank))
        if lora_rank:
            nn.init.xavier_uniform_(self.lora_A)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer, in the precision of its weight.

        Args:
            x: (..., in_features).

        Returns:
            (..., out_features).
        """
        bias = self.merged_bias()
        if in_short_precision(x.device):
            x = in_autocast_precision(x)
            y = F.linear(x, self.base_weight()).to(bias.dtype) + bias
            if self.scaling:
                y = y.add(F.linear(F.linear(x, self.lora_A), self.lora_B), alpha=self.scaling)
            return y
        return F.linear(x, self.merged_weight(), bias)

    def merged_weight(self) -> Tensor:
        """W + (α/r)·B·A, (out_features, in_features)."""
        if not self.scaling:
            return self.base_weight()
        return torch.addmm(self.base_weight(), self.lora_B, self.lora_A, alpha=self.scaling)

    def merged_bias(self) -> Tensor:
        """b + b_task, (out_features,)."""
        return self.bias if self.task_bias is None else self.bias + self.task_bias


def is_lora(name: str) -> bool:
    """Whether a parameter is the expert's part of a LoRA layer.

    Args:
        name: the parameter's name in a module, dotted.

    Returns:
        True for `lora_A`, `lora_B` and `task_bias`.
    """
    return name.rpartition(".")[2] in {"lora_A", "lora_B", "task_bias"}
