"""Grades: how well predictions rank a product's images and their pixels."""

from dataclasses import dataclass

import numpy as np

from moleflow.evaluation.metrics import Ranking, pixel_ranking, ranking
from moleflow.evaluation.outcomes import Outcome
from moleflow.scoring.maps import Smoothing, anomaly_maps
from moleflow.scoring.scorer import Predictions

CONTINUAL = ("image_auroc", "pixel_ap", "aupro")  # metrics that are followed from task to task


@dataclass(frozen=True)
class Grade:
    """How well predictions rank a product's images and their pixels.

    Attributes:
        image: metrics of the images.
        pixel: metrics of the pixels.
    """

    image: Ranking
    pixel: Ranking

    def value(self, metric: str) -> float:
        """One of the metrics that are followed from task to task.

        Args:
            metric: name in `CONTINUAL`.

        Returns:
            Its value; NaN if undefined.
        """
        followed = {"image_auroc": self.image.auroc, "pixel_ap": self.pixel.ap, "aupro": self.pixel.aupro}
        value = followed[metric]
        return np.nan if value is None else value


def grade(predictions: Predictions, labels: np.ndarray, masks: np.ndarray | None, sigma: Smoothing) -> Grade:
    """Ranks images by their comparable score, since several experts may have scored them, and pixels by their map.

    Args:
        predictions: predictions on N images.
        labels: 1 defective, (N,).
        masks: (N, S, S), bool; None if the defects are not marked.
        sigma: smoothing of the anomaly maps, see `Smoothing`.

    Returns:
        Metrics of images and pixels.
    """
    image = ranking(labels, predictions.comparable_score)
    if masks is None:
        return Grade(image, Ranking(None, None, None, None, "the product has no masks"))
    counted = ~unmarked(labels, masks)
    maps = anomaly_maps(predictions.patch_score[counted], size=masks.shape[-1], sigma=sigma)
    return Grade(image, pixel_ranking(masks[counted], maps))


def unmarked(labels: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Defective images without a marked pixel: their mask is missing, or the view cuts the defect off.

    Where the defect is cannot be told, so that pixel metrics leave them out.

    Args:
        labels: 1 defective, (N,).
        masks: (N, S, S), bool.

    Returns:
        (N,), bool.
    """
    return labels.astype(bool) & ~masks.any((1, 2))


def grades(outcome: Outcome, sigma: Smoothing) -> tuple[list[Grade], list[Grade]]:
    """Grades the own expert and the routed experts after each task; the same predictions are graded once.

    Args:
        outcome: outcome of a product.
        sigma: smoothing of the anomaly maps, see `Smoothing`.

    Returns:
        Grades of the own expert and of the routed ones, one each per task since the product's own.
    """
    known: dict[int, Grade] = {}

    def graded(predictions: Predictions) -> Grade:
        if id(predictions) not in known:
            known[id(predictions)] = grade(predictions, outcome.labels, outcome.masks, sigma)
        return known[id(predictions)]

    return [graded(step) for step in outcome.own], [graded(step) for step in outcome.routed]
