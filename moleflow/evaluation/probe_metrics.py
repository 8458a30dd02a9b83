"""The probe: comparing scores and baselines by synthetic defects on calibration images, without a test label."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch.nn import functional as F

from moleflow.evaluation.grades import grade
from moleflow.evaluation.metrics import mean_of_defined, pixel_ranking, ranking
from moleflow.evaluation.results import Metrics
from moleflow.files.probe_names import kinds_of
from moleflow.files.record_file import Statistics
from moleflow.scoring.maps import Smoothing, anomaly_maps
from moleflow.scoring.scorer import Predictions, Scorer
from moleflow.scoring.scores import BY_PROBE


@dataclass(frozen=True)
class Probe:
    """The synthetic defects of a product.

    Attributes:
        kinds: kind of defect of each image, (M,).
        masks: (M, S, S), bool.
    """

    kinds: np.ndarray
    masks: np.ndarray


def probe_of(images: list[str], masks: np.ndarray, size: int) -> Probe:
    """Makes a Probe from what the probe stage wrote, its masks resized to the anomaly maps.

    Args:
        images: names of the M images, see moleflow/files/probe_names.py.
        masks: masks in the backbone's view, (M, S', S'), bool.
        size: S, side of the anomaly maps in pixels.

    Returns:
        The probe.
    """
    scaled = F.interpolate(torch.from_numpy(masks).float()[:, None], size=(size, size), mode="bilinear")[:, 0]
    return Probe(kinds_of(images), (scaled >= 0.5).numpy())


def probe_metrics(
    scorer: Scorer, statistics: Statistics, probe: Probe, sigma: Smoothing, *, held_out: int
) -> dict[str, Any]:
    """How well defects of each kind are told from normal images, perturbed or not, and located in their images.

    Args:
        scorer: scorer of the candidate, which holds the calibration images and the perturbed ones.
        statistics: its statistics of the probe images, (M, H, W) each.
        probe: kinds and masks.
        sigma: smoothing of the anomaly maps, see `Smoothing`.
        held_out: how many calibration images there are: training images count in no candidate.

    Returns:
        probe_image_auroc and probe_pixel_ap, means over the kinds, and "kinds": both per kind. image_auroc is the mean
        of that against unchanged and that against perturbed normal images.
    """
    scores = scorer.image_scores(statistics)
    patches = scorer.patch_scores(statistics)
    maps = anomaly_maps(patches, size=probe.masks.shape[-1], sigma=sigma)
    normals = scorer.normal.sessions(held_out)
    kinds: dict[str, Metrics] = {}
    for kind in dict.fromkeys(probe.kinds.tolist()):
        rows = probe.kinds == kind
        kinds[kind] = {
            "image_auroc": mean_of_defined(_auroc(normal, scores[rows]) for normal in normals),
            "pixel_ap": pixel_ranking(probe.masks[rows], maps[rows]).ap,
        }
    return {
        "probe_image_auroc": mean_of_defined([metrics["image_auroc"] for metrics in kinds.values()]),
        "probe_pixel_ap": mean_of_defined([metrics["pixel_ap"] for metrics in kinds.values()]),
        "kinds": kinds,
    }


def _auroc(normal: np.ndarray, defective: np.ndarray) -> float | None:
    labels = np.concatenate([np.zeros(len(normal)), np.ones(len(defective))])
    return ranking(labels, np.concatenate([normal, defective])).auroc


def true_metrics(predictions: Predictions, labels: np.ndarray, masks: np.ndarray | None, sigma: Smoothing) -> Metrics:
    """The test metrics, which the probe should predict.

    Args:
        predictions: predictions on the N test images.
        labels: 1 defective, (N,).
        masks: (N, S, S), bool; None if the defects are not marked.
        sigma: smoothing of the anomaly maps, see `Smoothing`.

    Returns:
        test_image_auroc, test_pixel_ap and test_aupro; None where undefined.
    """
    test_grade = grade(predictions, labels, masks, sigma)
    pixel = test_grade.pixel
    return {"test_image_auroc": test_grade.image.auroc, "test_pixel_ap": pixel.ap, "test_aupro": pixel.aupro}


def agreement(candidates: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How well the probe ranks a product's candidates against the test metrics.

    Args:
        candidates: by candidate the metrics of `probe_metrics` and `true_metrics`; `probe` is another once more, and
            does not count.

    Returns:
        For image_auroc and pixel_ap: spearman, the rank correlation; chosen, the candidate that the
        probe ranks first; best, the best one by the test labels; cost, the test metric lost by the choice.
        None where undefined.
    """
    result: dict[str, dict[str, Any]] = {}
    for metric in ("image_auroc", "pixel_ap"):
        pairs = {
            candidate: (metrics[f"probe_{metric}"], metrics[f"test_{metric}"])
            for candidate, metrics in candidates.items()
            if candidate != BY_PROBE
        }
        pairs = {candidate: both for candidate, both in pairs.items() if None not in both}
        if len(pairs) < 2:
            result[metric] = {"spearman": None, "chosen": None, "best": None, "cost": None}
            continue
        probe, test = np.array(list(pairs.values())).T
        names = list(pairs)
        varied = len(set(probe)) > 1 and len(set(test)) > 1
        result[metric] = {
            "spearman": float(spearmanr(probe, test).statistic) if varied else None,
            "chosen": names[int(probe.argmax())],
            "best": names[int(test.argmax())],
            "cost": float(test.max() - test[probe.argmax()]),
        }
    return result
