"""Which score judges a product's images: the one named, or the one that the product's own probe asks for."""

from dataclasses import replace

import numpy as np

from moleflow.config.registry import Settings, choose
from moleflow.files.record_file import Record
from moleflow.scoring.scorer import Scorer
from moleflow.scoring.scores import BY_PROBE, CANDIDATES, SCORES, Score, ScoreError

AHEAD = 0.02  # of image AUROC; with a hundred painted images, less is chance


def chosen_score(name: str, settings: Settings, record: Record, region: np.ndarray | None) -> Score:
    """The score of a name.

    Args:
        name: a name in `SCORES`, or `BY_PROBE`: the first of `CANDIDATES`, unless another tells painted defects from
            normal images better by more than `AHEAD`; then the best one. A Gaussian per position, for one, helps where
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
        found[score] = told_apart(scorer, record)
    if not found:
        raise ScoreError("there is nothing to choose from; set memory_size above 0, or name a score")
    first, best = next(iter(found)), max(found, key=lambda score: found[score])
    return best if found[best] > found[first] + AHEAD else first


def told_apart(scorer: Scorer, record: Record) -> float:
    """How well a scorer tells painted defects from normal images.

    Args:
        scorer: it holds the normal images, unchanged and perturbed.
        record: statistics of images with painted defects, "probe".

    Returns:
        The mean of image AUROC against unchanged and against perturbed normal images.
    """
    painted, changed = scorer.image_scores(record.group("probe")), scorer.normal.session > 0
    normals = [scorer.normal.score[rows] for rows in (~changed, changed) if rows.any()]
    return float(np.mean([_auroc(normal, painted) for normal in normals]))


def _auroc(normal: np.ndarray, defective: np.ndarray) -> float:
    # It takes longer to import than a product's scores take to compute, and only `score: probe` asks for it.
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([0, 1], [len(normal), len(defective)])
    return float(roc_auc_score(labels, np.concatenate([normal, defective])))
