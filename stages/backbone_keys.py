"""The keys of params.yaml that extract and probe share: the backbone and its view of an image."""

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field

from moleflow.backbones.backbone import Backbone
from moleflow.config.params import Count, Positive
from moleflow.files.feature_store import Origin
from stages.device_keys import DeviceConfig


def _increasing(layers: list[int]) -> list[int]:
    if sorted(set(layers)) != layers:
        raise ValueError("must be in increasing order without repeats")
    return layers


class BackboneConfig(DeviceConfig):
    """The backbone and its view of an image."""

    backbone: str
    backbone_weights: str
    layers: Annotated[list[Count], Field(min_length=1), AfterValidator(_increasing)]
    img_size: Annotated[int, Field(ge=16)]
    tiles: Positive
    resize: str
    orient: str

    @cached_property
    def loaded(self) -> Backbone:
        """The frozen backbone."""
        view = {"img_size": self.img_size, "tiles": self.tiles}
        return Backbone(self.backbone, self.layers, self.backbone_weights, **view, device=self.found)

    def origin(self, white: float | None) -> Origin:
        """What its features are labeled with.

        Args:
            white: see `moleflow.images.index_table.white_of`.

        Returns:
            The label.
        """
        digest = self.loaded.weights_digest
        return Origin(self.backbone, digest, self.layers, self.img_size, self.resize, white, self.tiles, self.orient)
