"""The networks inside a coupling.

Their ReLUs work on a copy: in place, on the view that a linear layer returns, going back costs five copies.
"""

from torch import nn

from moleflow.flow.lora import LoRALinear


def lora_mlp(inputs: int, hidden: int, outputs: int, *, rank: int, alpha: float) -> nn.Sequential:
    """Two LoRA layers with a ReLU between; the last starts ten times smaller, near the identity."""
    last = LoRALinear(hidden, outputs, rank, alpha)
    last.weight.data.mul_(0.1)
    last.bias.data.zero_()
    return nn.Sequential(LoRALinear(inputs, hidden, rank, alpha), nn.ReLU(), last)


def zero_mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Three linear layers with ReLUs between; the last starts at zero."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last)
