"""From statistics to scores, p-values and thresholds, by means of calibration images.

The same for the experts and the baselines.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moleflow.calibration.conformal import alarm_threshold, cross_p_values
from moleflow.calibration.surprise import Reference
from moleflow.config.registry import Settings
from moleflow.files.record_file import Arrays, Statistics
from moleflow.files.tensor_file import load_tensors, save_tensors
from moleflow.scoring.aggregation import aggregate
from moleflow.scoring.fusion import comparable_scores, fuse, scores_among_others


@dataclass(frozen=True)
class Predictions:
    """Predictions on N images.

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
    """Turns patch statistics into predictions.

    Image scores are fused against the calibration images and perturbed ones together, so that a statistic
    that reacts to perturbations counts little; patch scores against the calibration images alone.

    Attributes:
        parts: names of the statistics to use; several are fused.
        settings: how patch scores become image scores, see `aggregate`.
        patches: of each part its values on the calibration images' patches, (n, H, W).
        images: of each part the aggregated values of the calibration images, followed by those of the
            perturbed ones, (n + m,).
        folds: number of the fold that each calibration image belongs to, (n,).
        sources: row of the calibration image that each perturbed one was made from, (m,).
    """

    parts: tuple[str, ...]
    settings: Settings
    patches: Statistics
    images: Statistics
    folds: np.ndarray
    sources: np.ndarray

    @classmethod
    def of(cls, parts: tuple[str, ...], settings: Settings, calibration: Arrays, perturbed: Arrays) -> "Scorer":
        """Makes a scorer from the statistics of calibration images.

        Args:
            parts: names of the statistics to use.
            settings: how patch scores become image scores, see `aggregate`.
            calibration: statistics of the calibration images, (n, H, W) each, and their "fold", (n,).
            perturbed: statistics of perturbed ones, (m, H, W) each, and their "source", (m,); empty for none.

        Returns:
            The scorer.

        Raises:
            ChoiceError: the aggregation is unknown.
        """
        sources = perturbed.get("source", np.empty(0, np.int64))
        references = [calibration, perturbed] if len(sources) else [calibration]
        images = {
            part: np.concatenate([aggregate(statistics[part], settings) for statistics in references]) for part in parts
        }
        patches = {part: calibration[part] for part in parts}
        return cls(parts, settings, patches, images, calibration["fold"], sources)

    @cached_property
    def normal_scores(self) -> np.ndarray:
        """Image scores of the calibration images, (n,), each among the others."""
        return self._among_others(self._own(slice(None, len(self.folds))), np.arange(len(self.folds)))

    @cached_property
    def perturbed_scores(self) -> np.ndarray:
        """Image scores of the perturbed images, (m,), each among images of other sources."""
        return self._among_others(self._own(slice(len(self.folds), None)), self.sources)

    def left_out_scores(self, statistics: Statistics, sources: np.ndarray) -> np.ndarray:
        """Image scores of images that were made from calibration images, each among images of other sources.

        Args:
            statistics: statistics by the density that did not see the calibration image, (N, H, W) each.
            sources: row of the calibration image that each was made from, (N,).

        Returns:
            Image scores, (N,).
        """
        return self._among_others([aggregate(statistics[part], self.settings) for part in self.parts], sources)

    def patch_scores(self, statistics: Statistics) -> np.ndarray:
        """Patch scores by one density, on one scale for all experts.

        Several statistics are fused against the calibration images; a single one is counted in their standard
        deviations from their mean, which changes a map's unit only.

        Args:
            statistics: its statistics, (N, H, W) each.

        Returns:
            Patch scores, (N, H, W).
        """
        values = [statistics[part] for part in self.parts]
        if len(values) > 1:
            return fuse(self._patch_references, values)
        level, spread = self._patch_level
        scores: np.ndarray = (values[0] - level) / spread
        return scores

    def threshold(self, alarm_rate: float) -> float:
        """Score above which an image raises an alarm.

        With several folds it is only close to where p-values fall below the rate; alarms are
        decided by the p-values.

        Args:
            alarm_rate: tolerated share of false alarms, in (0, 1).

        Returns:
            The threshold; infinite if there are too few calibration images.
        """
        return alarm_threshold(self.normal_scores, alarm_rate)

    def __call__(self, statistics: Statistics) -> Predictions:
        """Predictions on images.

        Args:
            statistics: statistics by the density of every fold, (F, N, H, W) each.

        Returns:
            Predictions; scores are the means over the folds.
        """
        folds = [
            {part: statistics[part][number] for part in self.parts} for number in range(len(statistics[self.parts[0]]))
        ]
        scores = np.stack(
            [
                fuse(self._image_references, [aggregate(fold[part], self.settings) for part in self.parts])
                for fold in folds
            ]
        )
        maps = np.mean([self.patch_scores(fold) for fold in folds], axis=0)
        p_values = cross_p_values(self.normal_scores, self.folds, scores)
        return Predictions(maps, scores.mean(0), p_values, comparable_scores(self._normal_reference, scores.mean(0)))

    @cached_property
    def _normal_reference(self) -> Reference:
        return Reference.of(self.normal_scores)

    @cached_property
    def _image_references(self) -> list[Reference]:
        return [Reference.of(self.images[part]) for part in self.parts]

    @cached_property
    def _patch_references(self) -> list[Reference]:
        return [Reference.of(self.patches[part]) for part in self.parts]

    @cached_property
    def _patch_level(self) -> tuple[float, float]:
        """Mean and standard deviation of the only statistic."""
        normal = self.patches[self.parts[0]]
        return float(normal.mean()), float(normal.std()) or 1.0

    def _own(self, rows: slice) -> list[np.ndarray]:
        return [self.images[part][rows] for part in self.parts]

    def _among_others(self, values: list[np.ndarray], sources: np.ndarray) -> np.ndarray:
        made_of = np.concatenate([np.arange(len(self.folds)), self.sources])
        return scores_among_others([self.images[part] for part in self.parts], made_of, values, sources)


def save_scorer(path: Path, scorer: Scorer, attributes: dict[str, Any]) -> None:
    """Writes a scorer, whole or not at all; the same scorer gives the same bytes.

    Args:
        path: the file.
        scorer: the scorer.
        attributes: what to know of it besides: alarm_rate, eval_size, map_sigma, and of the statistics precision,
            base_digest, expert_digest and prototype_digest.
    """
    arrays = {"folds": scorer.folds, "sources": scorer.sources}
    arrays |= {f"patches/{part}": scorer.patches[part] for part in scorer.parts}
    arrays |= {f"images/{part}": scorer.images[part] for part in scorer.parts}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    metadata = {"parts": list(scorer.parts), "settings": dict(scorer.settings), "attributes": attributes}
    save_tensors(path, "scorer", tensors, metadata)


def load_scorer(path: Path) -> tuple[Scorer, dict[str, Any]]:
    """Reads what `save_scorer` wrote.

    Args:
        path: the file.

    Returns:
        The scorer, and its attributes.

    Raises:
        ArtifactError: the file is missing or broken.
    """
    tensors, metadata = load_tensors(path, "scorer")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    parts = tuple(metadata["parts"])
    patches, images = ({part: arrays[f"{kind}/{part}"] for part in parts} for kind in ("patches", "images"))
    scorer = Scorer(parts, metadata["settings"], patches, images, arrays["folds"], arrays["sources"])
    return scorer, metadata["attributes"]
