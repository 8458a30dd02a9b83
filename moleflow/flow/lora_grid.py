"""LoRA that changes over the grid of patches."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moleflow.flow.affine import in_autocast_precision
from moleflow.flow.lora import LoRALinear


class LoRAGrid(LoRALinear):
    """y = W·x + (α/r)·B(u, v)·A(u, v)·x + b + b_task, with A and B at G×G nodes and bilinear between them.

    The nodes span the grid of patches: the patch of row i and column j lies at u = i·(G−1)/(H−1), v = j·(G−1)/(W−1).
    One node is plain LoRA. A is Xavier-uniform at every node, B zero: with both at zero neither would learn.
    Source: docs/method.md, Couplings.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lora_rank: int,
        lora_alpha: float,
        lora_grid: int,
        task_bias: bool,
        spectral_bound: float,
    ) -> None:
        """Creates the layer.

        Args:
            in_features: channels in.
            out_features: channels out.
            lora_rank: r, 0 for none.
            lora_alpha: α; α = r adds B·A at full strength.
            lora_grid: G, nodes per side.
            task_bias: whether there is b_task.
            spectral_bound: largest singular value that W may have; 0 for any.
        """
        super().__init__(
            in_features,
            out_features,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            task_bias=task_bias,
            spectral_bound=spectral_bound,
        )
        self.lora_A = nn.Parameter(torch.empty(lora_grid, lora_grid, lora_rank, in_features))
        self.lora_B = nn.Parameter(torch.zeros(lora_grid, lora_grid, out_features, lora_rank))
        for node in self.lora_A.flatten(0, 1) if lora_rank else ():
            nn.init.xavier_uniform_(node)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer.

        Args:
            x: patches, (B, H, W, in_features).

        Returns:
            (B, H, W, out_features).
        """
        bias = self.merged_bias()
        seen = in_autocast_precision(x)
        y = F.linear(seen, self.base_weight()).to(bias.dtype) + bias
        if not self.scaling:
            return y
        batch, height, width, _ = x.shape
        places = seen.permute(1, 2, 0, 3).flatten(0, 1)  # (H·W, B, in)
        down, up = (_at_patches(nodes, height, width) for nodes in (self.lora_A, self.lora_B))
        added = places @ down.mT @ up.mT  # (H·W, B, out)
        return y.add(added.view(height, width, batch, -1).permute(2, 0, 1, 3), alpha=self.scaling)

    def merged(self) -> nn.Linear:
        """The layer itself: no single weight computes what it does."""
        return self


def _at_patches(nodes: Tensor, height: int, width: int) -> Tensor:
    """Matrices at the nodes, (G, G, a, b) -> one for every patch, (H·W, a, b)."""
    rows, columns = (_shares(length, nodes) for length in (height, width))
    return torch.einsum("hg,wk,gkab->hwab", rows, columns, nodes).flatten(0, 1)


def _shares(length: int, nodes: Tensor) -> Tensor:
    """What each node along a side counts at each patch, (length, G)."""
    count = len(nodes)
    place = torch.arange(length, device=nodes.device, dtype=nodes.dtype) * ((count - 1) / max(1, length - 1))
    return (1 - (place[:, None] - torch.arange(count, device=nodes.device)).abs()).clamp_min(0)
