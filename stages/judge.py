"""The keys of params.yaml that score and route share: how likelihoods become verdicts."""

from typing import Annotated

import torch
from pydantic import Field

from moleflow.choices import choose
from moleflow.judging import Judge
from moleflow.params import Config, Positive
from moleflow.scoring import Aggregation, Halves
from moleflow.training import PRECISIONS

Percent = Annotated[float, Field(gt=0, le=100)]


class JudgeConfig(Config):
    """How likelihoods become verdicts."""

    precision: str
    score: str
    aggregation: str
    top_k: Positive
    top_percent: Percent
    percentile: Percent

    @property
    def dtype(self) -> torch.dtype:
        """Arithmetic of the densities."""
        return choose(PRECISIONS, self.precision, "precision")

    def judge(self, calibration: Halves) -> Judge:
        """The library's form of it, for one expert."""
        aggregation = Aggregation(self.aggregation, self.top_k, self.top_percent, self.percentile)
        return Judge(self.score, aggregation, calibration)
