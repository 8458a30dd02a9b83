"""Judging images by a product's expert: what score does for a product's own images and route for stolen ones."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from moleflow.artifacts import ArtifactError
from moleflow.calibration import alarm_threshold, p_values
from moleflow.experts import load_expert
from moleflow.prototypes import load_prototype
from moleflow.scoring import Aggregation, Halves, calibration_scores, image_scores, likelihood_halves, patch_scores
from moleflow.store import Split

BATCH = 32  # images at a time through a density

EXPERTS, TASKS, SCORES = Path("data/experts"), Path("data/tasks"), Path("data/scores")


class Expert:
    """A product's density with its standardisation."""

    def __init__(self, name: str, task: str, dtype: torch.dtype) -> None:
        """Loads data/experts/<task>/<name>.safetensors and its prototype.

        Raises:
            ArtifactError: a file is missing, broken, or belongs to another base.
        """
        self.name = name
        self.density = load_expert(EXPERTS / "base.safetensors", EXPERTS / task / f"{name}.safetensors")
        self.prototype = load_prototype(TASKS / task / f"{name}.safetensors")
        self.dtype = dtype

    def halves(self, split: Split, rows: np.ndarray | None = None) -> Halves:
        """Both halves of the likelihood of a split's images, (N, H, W) each.

        Raises:
            ArtifactError: a likelihood is not finite.
        """
        halves = likelihood_halves(
            self.density,
            self.prototype.standardised(split, rows),
            log_det=self.prototype.log_det,
            dtype=self.dtype,
            batch_size=BATCH,
            label=self.name,
        )
        if not np.isfinite(halves["nll"]).all():
            raise ArtifactError(
                f"{self.name}: its expert gives likelihoods that are not finite; lower lr or couplings in params.yaml"
            )
        return halves


@dataclass(frozen=True)
class Verdicts:
    """What is said of images.

    Attributes:
        patch_score: (N, H, W). image_score: (N,). p_value: (N,), conformal.
    """

    patch_score: np.ndarray
    image_score: np.ndarray
    p_value: np.ndarray


@dataclass(frozen=True)
class Judge:
    """Turns likelihoods into verdicts with the help of an expert's held-out normal images.

    Attributes:
        score: name in `scoring.SCORES`.
        aggregation: from patches to images.
        calibration: the expert's own halves of its calibration images.
    """

    score: str
    aggregation: Aggregation
    calibration: Halves

    @cached_property
    def normal_scores(self) -> np.ndarray:
        """Image scores of the calibration images, (n,)."""
        return calibration_scores(self.score, self.calibration, self.aggregation)

    def threshold(self, alarm_rate: float) -> float:
        """Score above which an image raises an alarm; infinite if the images are too few."""
        return alarm_threshold(self.normal_scores, alarm_rate)

    def __call__(self, judged: Halves) -> Verdicts:
        """Verdicts on images that the same expert judged."""
        scores = image_scores(self.score, self.calibration, judged, self.aggregation)
        maps = patch_scores(self.score, self.calibration, judged)
        return Verdicts(maps, scores, p_values(self.normal_scores, scores))
