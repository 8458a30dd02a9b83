"""Judging images by a product's expert: what score does for a product's own images and route for stolen ones."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from moleflow.artifacts import ArtifactError
from moleflow.calibration import alarm_threshold, cross_p_values
from moleflow.experts import expert_file, load_expert
from moleflow.features import ImageFeatures, StandardisedFeatures
from moleflow.flow.density import Density
from moleflow.prototypes import load_prototype
from moleflow.scoring import Aggregation, Halves, calibration_scores, image_scores, likelihood_halves, patch_scores

BATCH = 32  # images at a time through a density

EXPERTS, TASKS, SCORES = Path("data/experts"), Path("data/tasks"), Path("data/scores")


class Expert:
    """A product's densities with its standardisation.

    There is one density, or with `calibration: cross` one member per fold of the normal images, each
    learnt without its fold.
    """

    def __init__(self, name: str, task: str, dtype: torch.dtype) -> None:
        """Loads the product's expert, or the one that its task shares, and its prototype.

        Raises:
            ArtifactError: a file is missing, broken, or belongs to another base.
        """
        self.name = name
        self.members = load_expert(EXPERTS / "base.safetensors", expert_file(EXPERTS / task, name))
        self.prototype = load_prototype(TASKS / task / f"{name}.safetensors")
        self.dtype = dtype

    def halves(self, features: ImageFeatures) -> Halves:
        """What every member says of standardised features, (F, N, H, W) each.

        Raises:
            ArtifactError: a likelihood is not finite.
        """
        parts = [self._halves(member, features) for member in self.members]
        return {half: np.stack([part[half] for part in parts]) for half in parts[0]}

    def halves_by_fold(self, features: StandardisedFeatures, folds: np.ndarray) -> Halves:
        """What is said of each image by the member that did not see the image's fold, (N, H, W) each.

        Raises:
            ArtifactError: a likelihood is not finite.
        """
        order = np.argsort(folds, kind="stable")
        parts = [
            self._halves(member, features.take(np.flatnonzero(folds == fold)))
            for fold, member in enumerate(self.members)
        ]
        return {half: np.concatenate([part[half] for part in parts])[np.argsort(order)] for half in parts[0]}

    def _halves(self, member: Density, features: ImageFeatures) -> Halves:
        halves = likelihood_halves(
            member,
            features,
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
    """Turns patch statistics into verdicts with the help of held-out normal images.

    Attributes:
        parts: names of the statistics that are looked at; several are fused.
        aggregation: from patches to images.
        calibration: statistics of the held-out normal images, (n, H, W) each.
        folds: number of the member that judged each of them, (n,).
    """

    parts: tuple[str, ...]
    aggregation: Aggregation
    calibration: Halves
    folds: np.ndarray

    @cached_property
    def normal_scores(self) -> np.ndarray:
        """Image scores of the calibration images, (n,)."""
        return calibration_scores(self.parts, self.calibration, self.aggregation)

    def threshold(self, alarm_rate: float) -> float:
        """Score above which an image raises an alarm; infinite if the images are too few.

        With several members it is close to where p-values fall below the rate, and alarms are
        decided by the p-values.
        """
        return alarm_threshold(self.normal_scores, alarm_rate)

    def __call__(self, judged: Halves) -> Verdicts:
        """Verdicts on images from what every member says, (F, N, H, W) each; scores are the members' means."""
        members = [
            {part: values[number] for part, values in judged.items()} for number in range(len(judged[self.parts[0]]))
        ]
        scores = np.stack([image_scores(self.parts, self.calibration, each, self.aggregation) for each in members])
        maps = np.mean([patch_scores(self.parts, self.calibration, each) for each in members], axis=0)
        return Verdicts(maps, scores.mean(0), cross_p_values(self.normal_scores, self.folds, scores))
