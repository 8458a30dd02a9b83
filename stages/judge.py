"""The keys of params.yaml that score and route share: how likelihoods become verdicts."""

from typing import Annotated

import torch
from pydantic import Field

from moleflow.choices import choose
from moleflow.judging import Judge
from moleflow.params import Config, ParamsError, Positive
from moleflow.scores_file import Arrays
from moleflow.scoring import Aggregation, statistics_of
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

    @property
    def aggregator(self) -> Aggregation:
        """From patch scores to image scores."""
        return Aggregation(self.aggregation, self.top_k, self.top_percent, self.percentile)

    def judge(self, calibration: Arrays, varied: Arrays) -> Judge:
        """The library's form of it, for one expert.

        Args:
            calibration: statistics of the held-out normal images, and under "fold" who judged them.
            varied: statistics of those that were changed, and under "source" of which they were made.
        """
        parts = statistics_of(self.score, calibration)
        if not parts:
            raise ParamsError(f"params.yaml: score: {self.score} looks at a memory; set memory_size above 0")
        return self.judge_of(parts, calibration, varied)

    def judge_of(self, parts: tuple[str, ...], calibration: Arrays, varied: Arrays) -> Judge:
        """The same for statistics of one's own."""
        return Judge.of(parts, self.aggregator, calibration, varied)
