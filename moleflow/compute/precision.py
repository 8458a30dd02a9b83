"""Arithmetic of the flow's matrix products."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def matrix_products(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """A context in which matrix products are computed in a precision.

    Args:
        device: where they are computed.
        dtype: a value of `PRECISIONS`; float32 changes nothing.

    Returns:
        The context.
    """
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def in_short_precision(device: torch.device) -> bool:
    """Whether code runs inside `matrix_products` of a shorter precision than float32.

    Args:
        device: where matrix products are computed.

    Returns:
        True if autocast is on there.
    """
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
