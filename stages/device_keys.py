"""The key of params.yaml that all stages share whose arithmetic can run on an accelerator."""

import torch

from moleflow.compute.device import find_device
from moleflow.config.params import Config


class DeviceConfig(Config):
    """Where arithmetic runs."""

    device: str

    @property
    def found(self) -> torch.device:
        """The device.

        Raises:
            DeviceError: torch does not know or see it.
        """
        return find_device(self.device)
