"""From outcomes to the numbers of one product and of all, for the flow and its baselines alike."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from moleflow.calibration.conformal import alarms
from moleflow.evaluation.continual import continual_account
from moleflow.evaluation.grades import CONTINUAL, Grade, grades, unmarked
from moleflow.evaluation.metrics import alarm_metrics, mean_of_defined, ranking, recall_at
from moleflow.evaluation.outcomes import MEASURED, Outcome
from moleflow.scoring.maps import Smoothing, anomaly_maps

Metrics = dict[str, float | None]

TOO_FEW = "too few normal images for an alarm_rate of {:g}"


def marking_metrics(outcome: Outcome, sigma: Smoothing, size: int) -> tuple[Metrics, dict[str, str]]:
    """How the own expert's pixel threshold does, which was set before, from normal images alone.

    Args:
        outcome: outcome of the product.
        sigma: smoothing of the anomaly maps, see `Smoothing`.
        size: side of the anomaly maps in pixels.

    Returns:
        marked_normal, the share of the normal images with a marked pixel, and pixel_f1, the F1 score of marked pixels;
        and for each one that is None the reason.
    """
    names = ("marked_normal_own_expert", "pixel_f1_own_expert")
    if np.isinf(outcome.pixel_threshold):
        return dict.fromkeys(names), dict.fromkeys(names, TOO_FEW.format(outcome.alarm_rate))
    maps = anomaly_maps(outcome.own[-1].patch_score, size=size, sigma=sigma)
    above = maps - outcome.own[-1].level[:, None, None]
    marked, defective = above > outcome.pixel_threshold, outcome.labels.astype(bool)
    metrics: Metrics = dict.fromkeys(names)
    reasons = dict.fromkeys(names, "no normal test image")
    if not defective.all():
        metrics[names[0]] = float(marked[~defective].any((1, 2)).mean())
    reasons[names[1]] = "the product has no masks" if outcome.masks is None else "no pixel is marked as defective"
    if outcome.masks is not None and outcome.masks.any():
        counted = ~unmarked(outcome.labels, outcome.masks)
        found = int((marked & outcome.masks).sum())
        metrics[names[1]] = 2 * found / int(marked[counted].sum() + outcome.masks.sum())
    return metrics, {name: reasons[name] for name in names if metrics[name] is None}


def class_metrics(outcome: Outcome, own: Grade, routed: Grade) -> tuple[Metrics, dict[str, str]]:
    """All metrics of one product, by the routed experts and (with the suffix _own_expert) by its own expert.

    A rejected image gets no prediction: it is neither a false alarm nor a found defect.

    Args:
        outcome: outcome of the product.
        own: grade of its own expert after the last task.
        routed: grade of the routed experts after the last task.

    Returns:
        The metrics, and for each one that is None the reason.
    """
    metrics: Metrics = {}
    reasons: dict[str, str] = {}
    unrejected = np.zeros_like(outcome.rejected)
    variants = [
        ("", outcome.routed[-1], routed, outcome.routed_rates, outcome.rejected),
        ("_own_expert", outcome.own[-1], own, np.full(len(unrejected), outcome.alarm_rate), unrejected),
    ]
    for suffix, predictions, grade_, rates, rejected in variants:
        image, pixel = grade_.image, grade_.pixel
        rankings = {
            **{"image_auroc": image.auroc, "image_ap": image.ap, "image_best_f1_on_test": image.best_f1},
            **{"pixel_auroc": pixel.auroc, "pixel_ap": pixel.ap, "pixel_best_f1_on_test": pixel.best_f1},
            "aupro": pixel.aupro,
        }
        metrics |= {f"{metric}{suffix}": value for metric, value in rankings.items()}
        reasons |= {
            f"{metric}{suffix}": (image if metric.startswith("image") else pixel).reason
            for metric, value in rankings.items()
            if value is None
        }
        counted = asdict(alarm_metrics(outcome.labels, alarms(predictions.p_value, rates) & ~rejected))
        reason = "no test image of the kind it needs, or no alarm"
        if np.isinf(outcome.threshold):
            counted = dict.fromkeys(counted)
            reason = TOO_FEW.format(outcome.alarm_rate)
        metrics |= {f"{metric}{suffix}": value for metric, value in counted.items()}
        reasons |= {f"{metric}{suffix}": reason for metric, value in counted.items() if value is None}
        on_test = recall_at(outcome.labels, predictions.comparable_score, outcome.alarm_rate)
        metrics[f"recall_at_alarm_rate_on_test{suffix}"] = on_test
        if on_test is None:
            reasons[f"recall_at_alarm_rate_on_test{suffix}"] = "test images of both kinds are needed"
    defective = outcome.labels.astype(bool)
    metrics["defective_marked"] = None
    if outcome.masks is None or not defective.any():
        reasons["defective_marked"] = "the product has no masks" if outcome.masks is None else "no defective test image"
    else:
        metrics["defective_marked"] = float(1 - unmarked(outcome.labels, outcome.masks)[defective].mean())
    metrics["alarm_rate"] = outcome.alarm_rate
    metrics["routing_accuracy"] = float((outcome.chosen[:, -1] == outcome.number).mean())
    return metrics, reasons


@dataclass(frozen=True)
class ProductResult:
    """A method's results on one product.

    Attributes:
        metrics: its metrics, and under "undefined" why some are None.
        own, routed: per metric of `CONTINUAL` its value after each task since the product's own, NaN where undefined.
        unmoved: see `Outcome`.
        labels: 1 defective, of its test images, (N,).
        scores: their comparable scores by the routed experts after the last task, (N,).
    """

    metrics: dict[str, Any]
    own: dict[str, list[float]]
    routed: dict[str, list[float]]
    unmoved: str
    labels: np.ndarray
    scores: np.ndarray


def evaluate_product(outcome: Outcome, *, sigma: Smoothing, size: int) -> ProductResult:
    """Evaluates a method on one product; of the outcome's arrays none with patches or pixels is kept.

    Args:
        outcome: outcome of the product.
        sigma: smoothing of the anomaly maps, see `Smoothing`.
        size: side of the anomaly maps in pixels.

    Returns:
        Its results.
    """
    own, routed = grades(outcome, sigma)
    metrics, reasons = class_metrics(outcome, own[-1], routed[-1])
    marking, unmarkable = marking_metrics(outcome, sigma, size)
    metrics, reasons = metrics | marking, reasons | unmarkable
    return ProductResult(
        metrics={**metrics, "undefined": reasons},
        own={metric: [each.value(metric) for each in own] for metric in CONTINUAL},
        routed={metric: [each.value(metric) for each in routed] for metric in CONTINUAL},
        unmoved=outcome.unmoved,
        labels=outcome.labels,
        scores=outcome.routed[-1].comparable_score,
    )


@dataclass(frozen=True)
class Evaluation:
    """A method's results.

    Attributes:
        classes: per product its metrics, and under "undefined" why some are None.
        summary: means over the products, the pooled image AUROC, the continual account and the calibration; under
            "undefined" why the pooled one is None, if it is.
        own, routed: per metric of `CONTINUAL` the matrix R[i, j], (T, K), NaN where undefined.
    """

    classes: dict[str, dict[str, Any]]
    summary: dict[str, Any]
    own: dict[str, np.ndarray]
    routed: dict[str, np.ndarray]


def summarize(products: dict[str, ProductResult]) -> Evaluation:
    """Brings a method's results on all products together.

    Args:
        products: results by product, in order of arrival.

    Returns:
        Metrics of each product and of all.
    """
    tasks = max(len(result.routed[CONTINUAL[0]]) for result in products.values())
    own, routed = ({metric: np.full((tasks, len(products)), np.nan) for metric in CONTINUAL} for _ in range(2))
    for column, result in enumerate(products.values()):
        for metric in CONTINUAL:
            arrival = tasks - len(result.routed[metric])
            own[metric][arrival:, column] = result.own[metric]
            routed[metric][arrival:, column] = result.routed[metric]
    classes = {name: dict(result.metrics) for name, result in products.items()}
    summary: dict[str, Any] = dict(mean_metrics(classes))
    pooled = ranking(*(np.concatenate([vars(each)[key] for each in products.values()]) for key in ("labels", "scores")))
    summary["pooled_image_auroc"] = pooled.auroc
    if pooled.auroc is None:
        summary["undefined"] = {"pooled_image_auroc": pooled.reason}
    summary["continual"] = {
        metric: {name: asdict(account) for name, account in continual_account(own[metric], routed[metric]).items()}
        for metric in CONTINUAL
    }
    known_by = {result.unmoved or MEASURED for result in products.values()}
    summary["own_experts_after_each_task"] = ", ".join(sorted(known_by))
    summary["calibration"] = calibration_summary(classes)
    return Evaluation(classes, summary, own, routed)


def mean_metrics(classes: dict[str, dict[str, Any]]) -> Metrics:
    """Mean of each metric over the products that have it; ends of intervals are left out.

    Args:
        classes: metrics by product, as in `Evaluation`.

    Returns:
        Mean by metric; None if no product has it.
    """
    left_out = ("undefined", "alarm_rate", "false_alarm_low", "false_alarm_high")
    keys = [key for key in next(iter(classes.values())) if not key.startswith(left_out)]
    return {key: mean_of_defined(metrics[key] for metrics in classes.values()) for key in keys}


def calibration_summary(classes: dict[str, dict[str, Any]]) -> Metrics:
    """The promised rates of false alarms against the realized ones, each product given.

    Args:
        classes: metrics by product, as in `Evaluation`.

    Returns:
        target, the mean of the promised rates; mean_gap, the mean of |realized − promised|; kept, the share of
        the products whose realized rate is not surely (by its 95 % interval) above the promised one.
    """
    target = float(np.mean([metrics["alarm_rate"] for metrics in classes.values()]))
    keys = ("alarm_rate", "false_alarm_rate_own_expert", "false_alarm_low_own_expert")
    rates = [[metrics[key] for key in keys] for metrics in classes.values() if metrics[keys[1]] is not None]
    if not rates:
        return {"target": target, "mean_gap": None, "kept": None}
    promised, realized, low = np.array(rates).T
    return {
        "target": target,
        "mean_gap": float(np.abs(realized - promised).mean()),
        "kept": float((low <= promised).mean()),
    }
