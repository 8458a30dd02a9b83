"""The networks inside a coupling.

Their ReLUs work on a copy: in place, on the view that a linear layer returns, the backward pass costs five copies.
"""

from collections.abc import Callable

from torch import nn

from moleflow.config.registry import Settings, call, choose
from moleflow.flow.expert_linear import ExpertLinear
from moleflow.flow.full_weights import FullWeights
from moleflow.flow.lora import LoRALinear
from moleflow.flow.lora_grid import LoRAGrid


def lora(
    inputs: int,
    outputs: int,
    *,
    lora_rank: int,
    lora_alpha: float,
    lora_grid: int,
    task_bias: bool,
    spectral_bound: float,
) -> LoRALinear:
    """A layer with LoRA, alike at all patches or changing over their grid.

    Args:
        inputs: channels in.
        outputs: channels out.
        lora_rank: r, 0 for none.
        lora_alpha: α; α = r adds LoRA at full strength.
        lora_grid: nodes per side; 1 for LoRA that is alike at all patches.
        task_bias: whether each product has a bias of its own.
        spectral_bound: largest singular value that the base's weight may have; 0 for any.

    Returns:
        The layer.
    """
    if lora_grid == 1:
        return LoRALinear(
            inputs,
            outputs,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            task_bias=task_bias,
            spectral_bound=spectral_bound,
        )
    return LoRAGrid(
        inputs,
        outputs,
        lora_rank=lora_rank,
        lora_alpha=lora_alpha,
        lora_grid=lora_grid,
        task_bias=task_bias,
        spectral_bound=spectral_bound,
    )


# A member makes a layer of its channels in and out.
EXPERT_WEIGHTS: dict[str, Callable[..., ExpertLinear]] = {"lora": lora, "full": FullWeights}


def expert_mlp(inputs: int, hidden: int, outputs: int, settings: Settings) -> nn.Sequential:
    """Two layers that experts adapt, with a ReLU between; the last starts ten times smaller, near the identity.

    Args:
        inputs: channels in.
        hidden: channels between the layers.
        outputs: channels out.
        settings: `expert_weights`, a name in `EXPERT_WEIGHTS`, and what that member asks for.

    Returns:
        The network, (..., inputs) to (..., outputs).

    Raises:
        ChoiceError: `expert_weights` is unknown.
    """
    layer = choose(EXPERT_WEIGHTS, settings["expert_weights"], "expert_weights")
    last = call(layer, settings, hidden, outputs)
    last.weight.data.mul_(0.1)
    last.bias.data.zero_()
    return nn.Sequential(call(layer, settings, inputs, hidden), nn.ReLU(), last)


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
