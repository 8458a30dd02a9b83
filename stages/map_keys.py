"""The keys of params.yaml that score, evaluate and report share: how patch scores become anomaly maps."""

from typing import Annotated

from pydantic import Field

from moleflow.config.params import Config, NonNegative


class MapConfig(Config):
    """How patch scores become anomaly maps."""

    eval_size: Annotated[int, Field(ge=16)]
    map_sigma: NonNegative
