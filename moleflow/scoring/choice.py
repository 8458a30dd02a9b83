"""Which score judges a product's images: the one named, or the one that the product's own probe asks for."""

import math
from dataclasses import dataclass, replace

import numpy as np

from moleflow.config.registry import Settings, choose
from moleflow.files.record_file import Record
from moleflow.scoring.scorer import Scorer
from moleflow.scoring.scores import BY_PROBE, CANDIDATES, SCORES, Score, ScoreError

CLEARLY = 2  # standard errors of the difference of two image AUROCs; what is less may be chance


def chosen_score(name: str, settings: Settings, record: Record, region: np.ndarray | None) -> Score:
    """The score of a name.

    Args:
        name: a name in `SCORES`, or `BY_PROBE`: the first of `CANDIDATES`, unless others tell painted defects from
            normal images clearly better; then the best of these. A Gaussian per position, for one, helps where
            products lie alike in all images, and harms others.
        settings: see `Scorer`.
        record: statistics of normal images as for `Scorer.of`, and of painted defects, "probe".
        region: patches that count, (H, W), bool; None if all do.

    Returns:
        The score.

    Raises:
        ChoiceError: the name is unknown.
        ScoreError: there are statistics for none of the candidates.
    """
    if name != BY_PROBE:
        return choose(SCORES, name, "score")
    found = {}
    for candidate in CANDIDATES:
        score = replace(SCORES[candidate], map=SCORES["combined_relative"].map)  # maps of all products stay comparable
        try:
            scorer = Scorer.of(score, settings, record, region=region, pixels=False)
        except ScoreError:  # there are no Gaussians, or no memory bank
            continue
        found[score] = Told.by(scorer, record)
    if not found:
        raise ScoreError("there is nothing to choose from; set memory_size above 0, or name a score")
    first, *others = found
    beaten = found[first]
    better = [each for each in others if found[each].auroc > beaten.auroc + CLEARLY * found[each].error_beside(beaten)]
    return max(better, key=lambda score: found[score].auroc, default=first)


@dataclass(frozen=True)
class Told:
    """How a scorer tells painted defects from normal images, image by image.

    Attributes:
        painted: of each painted image the share of normal ones that it lies above, mean over unchanged and changed
            ones, (M,).
        normal: of unchanged and of changed normal images the share of painted ones that lie above each, (n,) each.
    """

    painted: np.ndarray
    normal: list[np.ndarray]

    @classmethod
    def by(cls, scorer: Scorer, record: Record) -> "Told":
        """Compares a scorer's image scores.

        Args:
            scorer: it holds the normal images, unchanged and perturbed; those left out of training do not count, since
                not every score knows them.
            record: statistics of calibration images and of images with painted defects, "probe".

        Returns:
            The comparison.
        """
        painted = scorer.image_scores(record.group("probe"))
        normal = scorer.normal.sessions(len(record.group("calibration")["fold"]))
        above = [(painted[:, None] > each) + 0.5 * (painted[:, None] == each) for each in normal]
        return cls(np.mean([each.mean(1) for each in above], axis=0), [each.mean(0) for each in above])

    @property
    def auroc(self) -> float:
        """Image AUROC, mean of that against unchanged and that against changed images."""
        return float(self.painted.mean())

    def error_beside(self, other: "Told") -> float:
        """Standard error of the difference of both image AUROCs.

        Args:
            other: how another scorer tells the same images.

        Returns:
            The standard error; infinite where a single image says nothing of chance.

        Source: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
        characteristic curves", 1988. Differs: changed images count as images of their own.
        """
        ours, theirs = ([told.painted, *told.normal] for told in (self, other))
        apart = [one - another for one, another in zip(ours, theirs, strict=True)]
        if min(len(each) for each in apart) < 2:
            return math.inf
        painted, *normal = (float(each.var(ddof=1)) / len(each) for each in apart)
        return math.sqrt(painted + sum(normal) / len(normal) ** 2)
