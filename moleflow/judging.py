"""From statistics to verdicts, with the help of held-out normal images: the same for the flow and its rivals."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from moleflow.calibration import alarm_threshold, cross_p_values
from moleflow.scores_file import Arrays
from moleflow.scoring import (
    Aggregation,
    Statistics,
    comparable_scores,
    image_scores,
    left_out_scores,
    patch_scores,
)

BATCH = 32  # images at a time through a density

EXPERTS, TASKS, SCORES = Path("data/experts"), Path("data/tasks"), Path("data/scores")


@dataclass(frozen=True)
class Verdicts:
    """What is said of images.

    Attributes:
        patch_score: (N, H, W), comparable between experts.
        image_score: (N,), on its expert's own scale, that of its threshold.
        p_value: (N,), conformal.
        comparable_score: (N,), the image score on one scale for all experts: what image metrics rank.
    """

    patch_score: np.ndarray
    image_score: np.ndarray
    p_value: np.ndarray
    comparable_score: np.ndarray


@dataclass(frozen=True)
class Judge:
    """Turns patch statistics into verdicts with the help of held-out normal images.

    Image scores are fused against the held-out images and harmlessly changed ones together, so that what
    a harmless change makes large counts little; patch scores against the held-out images alone.

    Attributes:
        parts: names of the statistics that are looked at; several are fused.
        aggregation: from patches to images.
        calibration: statistics of the held-out normal images, (n, H, W) each.
        folds: number of the member that judged each of them, (n,).
        varied: statistics of harmlessly changed ones, (m, H, W) each; empty for none.
        sources: row of the held-out image that each of these was made of, (m,).
    """

    parts: tuple[str, ...]
    aggregation: Aggregation
    calibration: Statistics
    folds: np.ndarray
    varied: Statistics
    sources: np.ndarray

    @classmethod
    def of(cls, parts: tuple[str, ...], aggregation: Aggregation, calibration: Arrays, varied: Arrays) -> "Judge":
        """A judge from what a scores file holds.

        Args:
            parts: names of the statistics to look at.
            aggregation: from patches to images.
            calibration: the group of the held-out normal images, with "fold".
            varied: that of the changed ones, with "source"; empty for none.
        """
        normal, changed = ({part: group[part] for part in parts if part in group} for group in (calibration, varied))
        return cls(parts, aggregation, normal, calibration["fold"], changed, varied.get("source", np.empty(0, int)))

    @cached_property
    def normal_scores(self) -> np.ndarray:
        """Image scores of the calibration images, (n,)."""
        return self.left_out_scores(self.calibration, np.arange(len(self.folds)))

    @cached_property
    def varied_scores(self) -> np.ndarray:
        """Image scores of the varied images, (m,)."""
        return self.left_out_scores(self.varied, self.sources) if self.varied else np.empty(0)

    def left_out_scores(self, judged: Statistics, sources: np.ndarray) -> np.ndarray:
        """Image scores of what was made of held-out images, against the others and what was made of them.

        Args:
            judged: statistics by the member that did not see the held-out image, (N, H, W) each.
            sources: row of the held-out image that each is or was made of, (N,).
        """
        return left_out_scores(self.parts, *self._reference, judged, sources, self.aggregation)

    def threshold(self, alarm_rate: float) -> float:
        """Score above which an image raises an alarm; infinite if the images are too few.

        With several members it is close to where p-values fall below the rate, and alarms are
        decided by the p-values.
        """
        return alarm_threshold(self.normal_scores, alarm_rate)

    def __call__(self, judged: Statistics) -> Verdicts:
        """Verdicts on images from what every member says, (F, N, H, W) each; scores are the members' means."""
        members = [
            {part: values[number] for part, values in judged.items()} for number in range(len(judged[self.parts[0]]))
        ]
        reference, _ = self._reference
        scores = np.stack([image_scores(self.parts, reference, each, self.aggregation) for each in members])
        maps = np.mean([patch_scores(self.parts, self.calibration, each) for each in members], axis=0)
        p_values = cross_p_values(self.normal_scores, self.folds, scores)
        return Verdicts(maps, scores.mean(0), p_values, comparable_scores(self.normal_scores, scores.mean(0)))

    @cached_property
    def _reference(self) -> tuple[Statistics, np.ndarray]:
        """What image scores are fused against, and the held-out image that each was made of."""
        own = np.arange(len(self.folds))
        if not self.varied:
            return self.calibration, own
        both = {part: np.concatenate([self.calibration[part], self.varied[part]]) for part in self.parts}
        return both, np.concatenate([own, self.sources])
