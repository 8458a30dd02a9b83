"""From scores and routes to the numbers of one product and of all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moleflow.datasets.images import mask_pixels
from moleflow.judging import Verdicts
from moleflow.metrics import Ranking, ranking
from moleflow.scores_file import Arrays, Record
from moleflow.scoring import anomaly_maps

Metrics = dict[str, float | None]


@dataclass(frozen=True)
class Judged:
    """A product's test images as its own expert and as the routed experts see them.

    Attributes:
        labels: 1 defective, (N,).
        masks: (N, S, S) bool; None if nobody marked the defects.
        own: verdicts of its own expert.
        routed: verdicts per step from the product's arrival to the last product's.
        chosen: index of the chosen product by image and step, (N, steps).
        threshold: alarm above this image score of its own expert; infinite if it cannot be warranted.
    """

    labels: np.ndarray
    masks: np.ndarray | None
    own: Verdicts
    routed: list[Verdicts]
    chosen: np.ndarray
    threshold: float


def judged_images(
    index: pd.DataFrame, scores: Record, routes: Arrays, *, own: int, classes: list[str], size: int
) -> Judged:
    """Puts together what score and route wrote of one product.

    Args:
        index: the product's table of images.
        scores: the product's own-expert scores.
        routes: the product's part of the routes.
        own: the product's number in order of arrival.
        classes: all products in order of arrival.
        size: side of the anomaly maps in pixels.
    """
    test = index[index.split == "test"]
    arrays = scores.group("test")
    verdicts = Verdicts(arrays["patch_score"], arrays["image_score"], arrays["p_value"])
    steps = routes["chosen"].shape[1]
    return Judged(
        labels=test.label.to_numpy(),
        masks=_masks(test, size, str(scores.attributes["resize"])),
        own=verdicts,
        routed=[_routed(verdicts, routes, step, own, classes) for step in range(steps)],
        chosen=routes["chosen"],
        threshold=float(scores.attributes["threshold"]),
    )


def _masks(test: pd.DataFrame, size: int, resize: str) -> np.ndarray | None:
    if not (test["mask"] != "").any():
        return None
    normal = np.zeros((size, size), bool)
    return np.stack([mask_pixels(Path(mask), size, resize) if mask else normal for mask in test["mask"]])


def _routed(own: Verdicts, routes: Arrays, step: int, number: int, classes: list[str]) -> Verdicts:
    """The own verdicts, with those of the thieves on the images they hold at this step."""
    chosen = routes["chosen"][:, step]
    if (chosen == number).all():
        return own
    routed = {key: value.copy() for key, value in vars(own).items()}
    for thief in np.setdiff1d(chosen, [number]):
        stolen = f"stolen/{classes[thief]}"
        rows = routes[f"{stolen}/row"]
        held = chosen[rows] == thief
        for key, values in routed.items():
            values[rows[held]] = routes[f"{stolen}/{key}"][held]
    return Verdicts(**routed)


def class_metrics(judged: Judged, *, own: int, alarm_rate: float, sigma: float) -> tuple[Metrics, dict[str, str]]:
    """All metrics of one product, routed and (with the suffix _oracle) judged by its own expert.

    Returns:
        The metrics, and for each one that is None the reason.
    """
    metrics: Metrics = {}
    reasons: dict[str, str] = {}
    last = judged.routed[-1]
    oracle_pixels = _pixel_ranking(judged, judged.own, sigma)
    same = bool((judged.chosen[:, -1] == own).all())
    routed_pixels = oracle_pixels if same else _pixel_ranking(judged, last, sigma)
    for suffix, verdicts, pixels in (("", last, routed_pixels), ("_oracle", judged.own, oracle_pixels)):
        image = ranking(judged.labels, verdicts.image_score)
        for kind, each in (("image", image), ("pixel", pixels)):
            metrics[f"{kind}_auroc{suffix}"], metrics[f"{kind}_ap{suffix}"] = each.auroc, each.ap
            if each.reason:
                reasons[f"{kind}_auroc{suffix}"] = reasons[f"{kind}_ap{suffix}"] = each.reason
        rates, reason = _alarm_rates(judged, verdicts, alarm_rate)
        metrics |= {f"{key}{suffix}": value for key, value in rates.items()}
        if reason:
            reasons |= {f"{key}{suffix}": reason for key in rates}
    metrics["routing_accuracy"] = float((judged.chosen[:, -1] == own).mean())
    return metrics, reasons


def _pixel_ranking(judged: Judged, verdicts: Verdicts, sigma: float) -> Ranking:
    if judged.masks is None:
        return Ranking(None, None, "the class has no masks")
    maps = anomaly_maps(verdicts.patch_score, size=judged.masks.shape[-1], sigma=sigma)
    return ranking(judged.masks, maps)


def _alarm_rates(judged: Judged, verdicts: Verdicts, alarm_rate: float) -> tuple[Metrics, str]:
    """Share of normal images that raise an alarm, and of defective ones that do."""
    if np.isinf(judged.threshold):
        count = int(1 / alarm_rate)
        return {"false_alarm_rate": None, "detection_rate": None}, f"fewer than {count - 1} held-out normal images"
    alarms = verdicts.p_value <= alarm_rate
    rates = {}
    for key, label in (("false_alarm_rate", 0), ("detection_rate", 1)):
        chosen = judged.labels == label
        rates[key] = float(alarms[chosen].mean()) if chosen.any() else None
    return rates, ""


def mean_metrics(classes: dict[str, dict[str, Any]]) -> Metrics:
    """Mean of each metric over the products that have it; None if none has."""
    keys = [key for key in next(iter(classes.values())) if key != "undefined"]
    means: Metrics = {}
    for key in keys:
        values = [metrics[key] for metrics in classes.values() if metrics[key] is not None]
        means[key] = float(np.mean(values)) if values else None
    return means


def auroc_matrices(products: list[Judged]) -> tuple[np.ndarray, np.ndarray]:
    """Image AUROC on product j after product i arrived, by own and by routed experts.

    The own experts' column is constant because their artifacts are: score wrote the digests of
    base and expert, and evaluate refuses scores of any others.

    Returns:
        Two matrices R[i, j], (K, K); NaN where i < j or the metric is undefined.
    """
    own, routed = np.full((2, len(products), len(products)), np.nan)
    for j, product in enumerate(products):
        own[j:, j] = _auroc(product.labels, product.own)
        for step, verdicts in enumerate(product.routed):
            routed[j + step, j] = _auroc(product.labels, verdicts)
    return own, routed


def _auroc(labels: np.ndarray, verdicts: Verdicts) -> float:
    auroc = ranking(labels, verdicts.image_score).auroc
    return np.nan if auroc is None else auroc
