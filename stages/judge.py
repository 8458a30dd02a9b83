"""The keys of params.yaml that score and evaluate share: how statistics become verdicts."""

from typing import Annotated

from pydantic import Field

from moleflow.params import Config, Positive
from moleflow.scoring import Aggregation

Percent = Annotated[float, Field(gt=0, le=100)]


class JudgeConfig(Config):
    """How statistics become verdicts, those of the experts and of the baselines."""

    score: str
    aggregation: str
    top_k: Positive
    top_percent: Percent
    percentile: Percent

    @property
    def aggregator(self) -> Aggregation:
        """From patch scores to image scores."""
        return Aggregation(self.aggregation, self.top_k, self.top_percent, self.percentile)
