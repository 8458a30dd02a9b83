"""LoRA is the paper's formula, in every precision."""

import pytest
import torch

from moleflow.flow.lora import LoRALinear
from moleflow.protocols.presets import PRESETS

RANK = 64  # of params.yaml; no preset changes it
STRENGTHS = {0.01, 1.0, 64.0} | {preset["lora_alpha"] for preset in PRESETS.values() if "lora_alpha" in preset}


def test_lora_is_the_papers_formula():
    layer = LoRALinear(5, 4, lora_rank=2, lora_alpha=6.0)
    with torch.no_grad():
        layer.lora_B.normal_()
        layer.task_bias.normal_()
    x = torch.randn(3, 5)
    expected = x @ layer.weight.T + 6 / 2 * x @ layer.lora_A.T @ layer.lora_B.T + layer.bias + layer.task_bias
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("alpha", sorted(STRENGTHS))
def test_lora_is_not_lost_in_a_short_precision(alpha):
    """What the expert adds under bf16 is what it adds in double precision, however small its share; presets' too."""
    torch.manual_seed(0)
    plain, layer = (LoRALinear(64, 64, lora_rank=RANK, lora_alpha=alpha) for _ in range(2))
    layer.load_state_dict(plain.state_dict())
    torch.nn.init.normal_(layer.lora_B, std=0.01)
    torch.nn.init.normal_(layer.task_bias, std=1e-3)
    x = torch.randn(200, 64)
    with torch.no_grad():
        true = alpha / RANK * (x.double() @ layer.lora_A.double().T @ layer.lora_B.double().T) + layer.task_bias
        with torch.autocast("cpu", torch.bfloat16):
            added = layer(x).double() - plain(x).double()
    assert (added - true).norm() < 0.01 * true.norm()
