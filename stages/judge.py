"""The keys of params.yaml that score, route and the rivals share: how statistics become verdicts."""

from typing import Annotated

from pydantic import Field

from moleflow.judging import Judge
from moleflow.params import Config, ParamsError, Positive
from moleflow.scores_file import Arrays
from moleflow.scoring import Aggregation, statistics_of

Percent = Annotated[float, Field(gt=0, le=100)]


class AggregationConfig(Config):
    """From patches to images, for the flow and its rivals alike."""

    aggregation: str
    top_k: Positive
    top_percent: Percent
    percentile: Percent

    @property
    def aggregator(self) -> Aggregation:
        """From patch scores to image scores."""
        return Aggregation(self.aggregation, self.top_k, self.top_percent, self.percentile)

    def judge_by(self, parts: tuple[str, ...], calibration: Arrays, varied: Arrays) -> Judge:
        """A judge that looks at some statistics.

        Args:
            parts: names of the statistics.
            calibration: statistics of the held-out normal images, and under "fold" who judged them.
            varied: statistics of those that were changed, and under "source" of which they were made.
        """
        return Judge.of(parts, self.aggregator, calibration, varied)


class JudgeConfig(AggregationConfig):
    """How the flow's statistics become verdicts."""

    score: str

    def judge(self, calibration: Arrays, varied: Arrays) -> Judge:
        """The same for an expert, by the statistics that `score` names."""
        parts = statistics_of(self.score, calibration)
        if not parts:
            raise ParamsError(f"params.yaml: score: {self.score} looks at a memory; set memory_size above 0")
        return self.judge_by(parts, calibration, varied)
