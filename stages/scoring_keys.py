"""The keys of params.yaml that score and evaluate share: how statistics become scores."""

from typing import Annotated

from pydantic import Field

from moleflow.config.params import Config, Odd, Positive

Percent = Annotated[float, Field(gt=0, le=100)]


class ScoringConfig(Config):
    """How statistics become scores, those of the experts and of the baselines."""

    score: str
    alarm_for: str
    consistency: list[Odd]
    image_level: Annotated[float, Field(ge=0, lt=100)]
    aggregation: str
    top_k: Positive
    top_percent: Percent
    percentile: Percent
