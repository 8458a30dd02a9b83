"""The keys of params.yaml that score and evaluate share: how statistics become scores."""

from typing import Annotated

from pydantic import AfterValidator, Field

from moleflow.config.params import Config, Odd, Positive

Percent = Annotated[float, Field(gt=0, le=100)]
Window = Annotated[Odd, Field(ge=3)]  # a window of one patch would weigh all alike


def _different(windows: list[int]) -> list[int]:
    if len(set(windows)) < len(windows):
        raise ValueError("must be windows of different sides")
    return windows


class ScoringConfig(Config):
    """How statistics become scores, those of the experts and of the baselines."""

    score: str
    alarm_for: str
    consistency: Annotated[list[Window], AfterValidator(_different)]
    image_level: Annotated[float, Field(ge=0, lt=100)]
    aggregation: str
    top_k: Positive
    top_percent: Percent
    percentile: Percent
