"""From statistics to scores, p-values and thresholds, by means of normal images.

The same for the experts and the baselines.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moleflow.calibration.conformal import alarm_threshold, p_values
from moleflow.calibration.promises import PROMISES
from moleflow.calibration.surprise import Reference
from moleflow.config.registry import Settings, choose
from moleflow.files.record_file import Arrays, Record, Statistics
from moleflow.files.tensor_file import load_tensors, save_tensors
from moleflow.scoring.aggregation import aggregate, levels
from moleflow.scoring.consistency import consistent
from moleflow.scoring.fusion import comparable_scores, summed, surprises
from moleflow.scoring.maps import anomaly_maps
from moleflow.scoring.scores import Parts, Score, kind_of, statistics_of

MAPPED_AT_ONCE = 64  # images


@dataclass(frozen=True)
class Predictions:
    """Predictions on N images.

    Attributes:
        patch_score: (N, H, W), comparable between experts: what a map shows.
        level: (N,), level of the image's own patch scores, above which pixels are marked.
        image_score: (N,), on its expert's own scale, that of its threshold.
        p_value: (N,), conformal.
        comparable_score: (N,), the image score on one scale for all experts: what image metrics rank.
    """

    patch_score: np.ndarray
    level: np.ndarray
    image_score: np.ndarray
    p_value: np.ndarray
    comparable_score: np.ndarray


@dataclass(frozen=True)
class NormalImages:
    """What a scorer says of normal images that its expert did not learn from, or is asked about as if it had not.

    Attributes:
        score: image scores, (n,).
        peak: largest pixel of their anomaly maps above the level of the image's own patches, (n,); NaN where a
            statistic of the map is not known, or nobody asks for a pixel threshold.
        fold: number of the fold that each belongs to, (n,).
        session: 0 as they are, 1, 2, ... after one kind of harmless change each, (n,).
        source: number of the image that each was made from, (n,).
    """

    score: np.ndarray
    peak: np.ndarray
    fold: np.ndarray
    session: np.ndarray
    source: np.ndarray

    def sessions(self, held_out: int) -> list[np.ndarray]:
        """Scores of the calibration images, which every score is known of, and of those after harmless changes.

        Args:
            held_out: how many calibration images there are; training images are numbered after them.

        Returns:
            Scores by session, the unchanged ones first; changed ones together, if there are any.
        """
        changed = self.session > 0
        return [self.score[rows] for rows in (~changed & (self.source < held_out), changed) if rows.any()]


@dataclass(frozen=True)
class Scorer:
    """Turns patch statistics into predictions.

    Attributes:
        image, map: names of the statistics that judge an image and that draw its map, by kind.
        settings: keys of params.yaml: how patch scores become image scores, see `consistent` and `aggregate`;
            `alarm_for`, a name in `PROMISES`; `eval_size` and `map_sigma` of anomaly maps.
        references: by statistic the normal patches that others are compared with.
        normal: the normal images that p-values compare with.
        region: patches that count, (H, W), bool; None if all do.
        least: smallest patch score of the normal images, for `consistent` alone; else 0.
    """

    image: Parts
    map: Parts
    settings: Settings
    references: dict[str, Reference]
    normal: NormalImages
    region: np.ndarray | None = None
    least: float = 0.0

    @classmethod
    def of(
        cls, score: Score, settings: Settings, record: Record, *, region: np.ndarray | None = None, pixels: bool = True
    ) -> "Scorer":
        """Makes a scorer from the statistics of normal images.

        Where the training images have every statistic that judges images as if they had been left out, they count as
        the calibration images do; for pixels, if they have every statistic of the map too.

        Args:
            score: kinds of statistic to use.
            settings: see the class.
            record: groups "calibration" with "fold", (n,), "perturbed" with "fold", "session" and "source", the row in
                calibration, and "left_out"; statistics of images are (n, H, W) each; the last two may be empty.
            region: patches that count, (H, W), bool; None if all do.
            pixels: whether a pixel threshold will be asked for, which needs all maps.

        Returns:
            The scorer.

        Raises:
            ScoreError: there is no statistic of one of the kinds.
            ChoiceError: the aggregation or the promise is unknown.
        """
        calibration, left_out, perturbed = (record.group(name) for name in ("calibration", "left_out", "perturbed"))
        image, drawn = statistics_of(score.image, calibration), statistics_of(score.map, calibration)
        names = {part for kinds in (image, drawn) for kind in kinds for part in kind}
        held_out = len(calibration["fold"])
        groups = [(calibration, calibration["fold"], np.zeros(held_out, np.int64), np.arange(held_out))]
        judging = {part for kind in image for part in kind}
        if judging <= set(left_out):
            none = np.zeros(len(left_out[min(judging)]), np.int64)
            groups.append((left_out, none, none, held_out + np.arange(len(none))))
        known = {part: [statistics[part] for statistics, *_ in groups if part in statistics] for part in sorted(names)}
        references = {
            part: Reference.of(np.concatenate([_inside(values, region) for values in groups_of_part]))
            for part, groups_of_part in known.items()
        }
        if len(perturbed.get("fold", ())):
            groups.append((perturbed, perturbed["fold"], perturbed["session"], perturbed["source"]))
        scorer = cls(image, drawn, settings, references, NormalImages(*np.empty((5, 0))), region)
        if scorer.consistency:
            scores = [summed(image, references, statistics) for statistics, *_ in groups]
            scorer = replace(scorer, least=float(min(_inside(each, region).min() for each in scores if len(each))))
        normal = NormalImages(
            score=np.concatenate([scorer.image_scores(statistics) for statistics, *_ in groups]),
            peak=np.concatenate([scorer.peaks(statistics, known=pixels) for statistics, *_ in groups]),
            fold=np.concatenate([fold for _, fold, *_ in groups]),
            session=np.concatenate([session for *_, session, _ in groups]),
            source=np.concatenate([source for *_, source in groups]),
        )
        return replace(scorer, normal=normal)

    @property
    def consistency(self) -> list[int]:
        """Windows of `consistent`; scorers from before there was this key have none."""
        found: list[int] = self.settings.get("consistency", [])
        return found

    @property
    def score(self) -> Score:
        """The kinds of statistic that it uses."""
        return Score(*(tuple(kind_of(names) for names in kinds) for kinds in (self.image, self.map)))

    def image_scores(self, statistics: Arrays) -> np.ndarray:
        """Image scores by one expert.

        Args:
            statistics: its statistics, (N, H, W) each.

        Returns:
            Image scores, (N,).
        """
        scores = self._counted(summed(self.image, self.references, statistics))
        if self.consistency:
            scores = consistent(scores, least=self.least, consistency=self.consistency)
        return aggregate(scores, self.settings)

    def patch_scores(self, statistics: Statistics) -> np.ndarray:
        """Patch scores of anomaly maps by one expert, on one scale for all experts.

        Args:
            statistics: its statistics, (N, H, W) each.

        Returns:
            Patch scores, (N, H, W); where patches do not count, the smallest of those of the image that do.
        """
        scores = surprises(self.map, self.references, statistics)
        if self.region is None or not len(scores):
            return scores
        least = scores[:, self.region].min(1)
        inside: np.ndarray = np.where(self.region, scores, least[:, None, None])
        return inside

    def _counted(self, scores: np.ndarray) -> np.ndarray:
        """Patch scores, (N, H, W), with NaN for patches that do not count."""
        return scores if self.region is None else np.where(self.region, scores, np.nan)

    def peaks(self, statistics: Arrays, *, known: bool = True) -> np.ndarray:
        """Largest pixel of each anomaly map, above the level of the image's own patches.

        Args:
            statistics: statistics by one expert, (N, H, W) each.
            known: whether they are asked for.

        Returns:
            (N,); NaN if they are not asked for, or a statistic of the map is missing.
        """
        if not known or any(part not in statistics for kind in self.map for part in kind):
            return np.full(len(statistics[self.image[0][0]]), np.nan)
        patches, size, sigma = self.patch_scores(statistics), self.settings["eval_size"], self.settings["map_sigma"]
        parts = [patches[start : start + MAPPED_AT_ONCE] for start in range(0, len(patches), MAPPED_AT_ONCE)]
        largest = np.concatenate([anomaly_maps(part, size=size, sigma=sigma).max((1, 2)) for part in parts])
        above: np.ndarray = largest - levels(self._counted(patches), self.settings)
        return above

    def recalibrated(self, statistics: Statistics) -> "Scorer":
        """The scorer with thresholds and p-values by other normal images; scores and maps stay the same.

        Args:
            statistics: of N normal images by the expert of every fold, (F, N, H, W) each. With several folds each image
                stands for one of them, in turn.

        Returns:
            The scorer.
        """
        folds, count = statistics[self.image[0][0]].shape[:2]
        fold = np.arange(count) % folds
        own = {name: values[fold, np.arange(count)] for name, values in statistics.items()}
        normal = NormalImages(
            score=self.image_scores(own),
            peak=self.peaks(own),
            fold=fold,
            session=np.zeros(count, np.int64),
            source=np.arange(count),
        )
        return replace(self, normal=normal)

    @property
    def unchanged_scores(self) -> np.ndarray:
        """Scores of the normal images as they are."""
        return self.normal.score[self.normal.session == 0]

    @property
    def weights(self) -> np.ndarray:
        """Weight of every normal image in a p-value, (n,)."""
        return self._weights(np.ones(len(self.normal.score), bool))

    def _weights(self, rows: np.ndarray) -> np.ndarray:
        promise = choose(PROMISES, self.settings["alarm_for"], "alarm_for")
        return promise(self.normal.session[rows], self.normal.source[rows])

    def threshold(self, alarm_rate: float) -> float:
        """Score above which an image raises an alarm.

        With several folds it is only close to where p-values fall below the rate; alarms are decided by the p-values.

        Args:
            alarm_rate: tolerated share of false alarms, in (0, 1).

        Returns:
            The threshold; infinite if there are too few normal images.
        """
        return alarm_threshold(self.normal.score, self.weights, alarm_rate)

    def pixel_threshold(self, alarm_rate: float) -> float:
        """How far above its image's level a pixel of a map is marked, some of about `alarm_rate` of normal images.

        Args:
            alarm_rate: tolerated share of normal images with a marked pixel, in (0, 1).

        Returns:
            The threshold; infinite if there are too few normal images.
        """
        rows = ~np.isnan(self.normal.peak)
        return alarm_threshold(self.normal.peak[rows], self._weights(rows), alarm_rate)

    def __call__(self, statistics: Statistics) -> Predictions:
        """Predictions on images.

        Args:
            statistics: statistics by the expert of every fold, (F, N, H, W) each.

        Returns:
            Predictions; scores are the means over the folds.
        """
        count = len(statistics[self.image[0][0]])
        folds = [{part: statistics[part][number] for part in self.references} for number in range(count)]
        scores = np.stack([self.image_scores(fold) for fold in folds])
        found = p_values(self.normal.score, self.weights, self.normal.fold, scores)
        maps = np.mean([self.patch_scores(fold) for fold in folds], axis=0)
        level = levels(self._counted(maps), self.settings)
        return Predictions(maps, level, scores.mean(0), found, comparable_scores(self._unchanged, scores.mean(0)))

    @cached_property
    def _unchanged(self) -> Reference:
        return Reference.of(self.unchanged_scores)


def save_scorer(path: Path, scorer: Scorer, attributes: dict[str, Any]) -> None:
    """Writes a scorer, whole or not at all; the same scorer gives the same bytes.

    Args:
        path: the file.
        scorer: the scorer.
        attributes: what to know of it besides: alarm_rate, and of the statistics precision, orientations, base_digest,
            expert_digest and prototype_digest.
    """
    arrays = {f"normal/{name}": array for name, array in vars(scorer.normal).items()}
    arrays |= {f"reference/{part}": reference.ordered for part, reference in scorer.references.items()}
    arrays |= {} if scorer.region is None else {"region": scorer.region}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    numbers = {
        part: {key: value for key, value in vars(reference).items() if key != "ordered"}
        for part, reference in scorer.references.items()
    }
    metadata = {"image": scorer.image, "map": scorer.map, "settings": dict(scorer.settings), "references": numbers}
    save_tensors(path, "scorer", tensors, {**metadata, "least": scorer.least, "attributes": attributes})


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
    references = {
        part: Reference(ordered=arrays[f"reference/{part}"], **numbers)
        for part, numbers in metadata["references"].items()
    }
    normal = NormalImages(**{name: arrays[f"normal/{name}"] for name in ("score", "peak", "fold", "session", "source")})
    image, drawn = (tuple(map(tuple, metadata[key])) for key in ("image", "map"))
    region, least = arrays.get("region"), metadata.get("least", 0.0)
    scorer = Scorer(image, drawn, metadata["settings"], references, normal, region, least)
    return scorer, metadata["attributes"]


def _inside(values: np.ndarray, region: np.ndarray | None) -> np.ndarray:
    """Values of the patches that count, (P,)."""
    return values.reshape(-1) if region is None else values[..., region].reshape(-1)
