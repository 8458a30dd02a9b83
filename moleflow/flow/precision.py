"""Arithmetic of the flow's matrix products."""

import torch

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
