"""The keys of params.yaml that score, evaluate and report share: how patch scores become anomaly maps."""

from typing import Annotated, Any

from pydantic import Field, PlainValidator

from moleflow.config.params import Config
from moleflow.scoring.maps import Smoothing


def _smoothing(value: Any) -> Any:
    several = value if isinstance(value, list) else [value]
    if not several or any(type(each) not in (int, float) or not 0 <= each < float("inf") for each in several):
        raise ValueError("must be a number of pixels, 0 for none, or a list of such numbers")
    return [float(each) for each in value] if isinstance(value, list) else float(value)


class MapConfig(Config):
    """How patch scores become anomaly maps."""

    eval_size: Annotated[int, Field(ge=16)]
    map_sigma: Annotated[Smoothing, PlainValidator(_smoothing)]
