"""The device that computes: the processor or an accelerator."""

import torch

from moleflow.config.errors import MoleflowError


class DeviceError(MoleflowError):
    """A device is not available."""


def find_device(name: str) -> torch.device:
    """The device of a name.

    Args:
        name: "auto" (the accelerator that torch sees, or else the processor) or torch's name of one: cpu, cuda, mps.

    Returns:
        The device.

    Raises:
        DeviceError: torch does not know or see it.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"device: {name!r} is not available ({reason}); use auto or cpu") from error


def in_double(device: torch.device) -> torch.device:
    """Where double precision is computed.

    Args:
        device: where the rest is.

    Returns:
        The device itself, or the processor where it has no double precision (mps).
    """
    return torch.device("cpu") if device.type == "mps" else device
