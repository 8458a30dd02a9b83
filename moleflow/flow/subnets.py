"""The networks inside a coupling.

Their ReLUs work on a copy: in place, on the view that a linear layer returns, the backward pass costs five copies.
"""

from torch import nn

from moleflow.config.registry import Settings, call
from moleflow.flow.lora import LoRALinear


def lora_mlp(inputs: int, hidden: int, outputs: int, settings: Settings) -> nn.Sequential:
    """Two LoRA layers with a ReLU between; the last starts ten times smaller, near the identity.

    Args:
        inputs: channels in.
        hidden: channels between the layers.
        outputs: channels out.
        settings: what `LoRALinear` asks for.

    Returns:
        The network, (..., inputs) to (..., outputs).
    """
    last = call(LoRALinear, settings, hidden, outputs)
    last.weight.data.mul_(0.1)
    last.bias.data.zero_()
    return nn.Sequential(call(LoRALinear, settings, inputs, hidden), nn.ReLU(), last)


def zero_mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Three linear layers with ReLUs between; the last starts at zero.

    Args:
        inputs: channels in.
        hidden: channels between the layers.
        outputs: channels out.

    Returns:
        The network, (..., inputs) to (..., outputs).
    """
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last)
