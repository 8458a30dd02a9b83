"""From statistics to scores, p-values and thresholds, with the help of held-out normal images.

The same for the experts and the baselines.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from moleflow.calibration import alarm_threshold, cross_p_values
from moleflow.scores_file import Arrays
from moleflow.scoring import Aggregation, Statistics, comparable_scores, fuse, patch_scores, scores_among_others
from moleflow.tensors_file import load_tensors, save_tensors


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
class Scorer:
    """Turns patch statistics into verdicts.

    Image scores are fused against the held-out images and harmlessly changed ones together, so that what
    a harmless change makes large counts little; patch scores against the held-out images alone.

    Attributes:
        parts: names of the statistics that are looked at; several are fused.
        aggregation: from patches to images.
        patches: of each part what it says of the held-out normal images' patches, (n, H, W).
        images: of each part the aggregated values of the held-out images, and behind them of the changed
            ones, (n + m,).
        folds: number of the member that judged each held-out image, (n,).
        sources: row of the held-out image that each changed one was made of, (m,).
    """

    parts: tuple[str, ...]
    aggregation: Aggregation
    patches: Statistics
    images: Statistics
    folds: np.ndarray
    sources: np.ndarray

    @classmethod
    def of(cls, parts: tuple[str, ...], aggregation: Aggregation, calibration: Arrays, varied: Arrays) -> "Scorer":
        """A scorer from what was said of held-out images.

        Args:
            parts: names of the statistics to look at.
            aggregation: from patches to images.
            calibration: statistics of the held-out normal images, (n, H, W) each, and their "fold", (n,).
            varied: those of the changed ones, (m, H, W) each, and their "source", (m,); empty for none.
        """
        sources = varied.get("source", np.empty(0, np.int64))
        references = [calibration, varied] if len(sources) else [calibration]
        images = {part: np.concatenate([aggregation(each[part]) for each in references]) for part in parts}
        patches = {part: calibration[part] for part in parts}
        return cls(parts, aggregation, patches, images, calibration["fold"], sources)

    @cached_property
    def normal_scores(self) -> np.ndarray:
        """Image scores of the held-out images, (n,), each among the others."""
        return self._among_others(self._own(slice(None, len(self.folds))), np.arange(len(self.folds)))

    @cached_property
    def varied_scores(self) -> np.ndarray:
        """Image scores of the changed images, (m,), each among what was not made of its source."""
        return self._among_others(self._own(slice(len(self.folds), None)), self.sources)

    def left_out_scores(self, judged: Statistics, sources: np.ndarray) -> np.ndarray:
        """Image scores of what was made of held-out images, among the others and what was made of them, (N,).

        Args:
            judged: statistics by the member that did not see the held-out image, (N, H, W) each.
            sources: row of the held-out image that each was made of, (N,).
        """
        return self._among_others([self.aggregation(judged[part]) for part in self.parts], sources)

    def patch_scores(self, judged: Statistics) -> np.ndarray:
        """Patch scores, (N, H, W), from the statistics of one member, (N, H, W) each."""
        return patch_scores(self.parts, self.patches, judged)

    def threshold(self, alarm_rate: float) -> float:
        """Score above which an image raises an alarm; infinite if the images are too few.

        With several members it is close to where p-values fall below the rate, and alarms are
        decided by the p-values.
        """
        return alarm_threshold(self.normal_scores, alarm_rate)

    def __call__(self, judged: Statistics) -> Verdicts:
        """Verdicts on images from what every member says, (F, N, H, W) each; scores are the members' means."""
        members = [{part: judged[part][number] for part in self.parts} for number in range(len(judged[self.parts[0]]))]
        reference = [self.images[part] for part in self.parts]
        scores = np.stack([fuse(reference, [self.aggregation(each[part]) for part in self.parts]) for each in members])
        maps = np.mean([self.patch_scores(each) for each in members], axis=0)
        p_values = cross_p_values(self.normal_scores, self.folds, scores)
        return Verdicts(maps, scores.mean(0), p_values, comparable_scores(self.normal_scores, scores.mean(0)))

    def _own(self, rows: slice) -> list[np.ndarray]:
        return [self.images[part][rows] for part in self.parts]

    def _among_others(self, values: list[np.ndarray], sources: np.ndarray) -> np.ndarray:
        made_of = np.concatenate([np.arange(len(self.folds)), self.sources])
        return scores_among_others([self.images[part] for part in self.parts], made_of, values, sources)


def save_scorer(path: Path, scorer: Scorer) -> None:
    """Writes a scorer, whole or not at all; the same scorer gives the same bytes."""
    arrays = {"folds": scorer.folds, "sources": scorer.sources}
    arrays |= {f"patches/{part}": scorer.patches[part] for part in scorer.parts}
    arrays |= {f"images/{part}": scorer.images[part] for part in scorer.parts}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
    save_tensors(path, tensors, {"parts": list(scorer.parts), "aggregation": asdict(scorer.aggregation)})


def load_scorer(path: Path) -> Scorer:
    """Reads what `save_scorer` wrote.

    Raises:
        ArtifactError: the file is missing or broken.
    """
    tensors, metadata = load_tensors(path)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    parts = tuple(metadata["parts"])
    patches, images = ({part: arrays[f"{kind}/{part}"] for part in parts} for kind in ("patches", "images"))
    aggregation = Aggregation(**metadata["aggregation"])
    return Scorer(parts, aggregation, patches, images, arrays["folds"], arrays["sources"])
