"""From predictions and routes to the numbers of one product and of all, for the flow and its baselines alike."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from moleflow.calibration.conformal import alarms, images_needed
from moleflow.evaluation.continual import continual_account
from moleflow.evaluation.metrics import Ranking, alarm_metrics, mean_of_defined, pixel_ranking, ranking
from moleflow.scoring.maps import anomaly_maps
from moleflow.scoring.scorer import Predictions

Metrics = dict[str, float | None]

CONTINUAL = ("image_auroc", "pixel_ap", "aupro")  # metrics that are followed from task to task


@dataclass(frozen=True)
class Outcome:
    """Predictions on a product's test images, by its own expert and by the routed ones, with the truth.

    Attributes:
        labels: 1 defective, (N,).
        masks: (N, S, S) bool; None if the defects are not marked.
        own: predictions of its own expert.
        routed: predictions after each task, from the product's own to the last.
        chosen: index of the chosen product by image and task, (N, len(routed)).
        rejected: images that the router rejects after the last task, as showing no known product, (N,), bool.
        number: the product's own index.
        threshold: alarm above this image score of its own expert; infinite if it cannot be warranted.
        alarm_rate: p-values up to this raise an alarm.
    """

    labels: np.ndarray
    masks: np.ndarray | None
    own: Predictions
    routed: list[Predictions]
    chosen: np.ndarray
    rejected: np.ndarray
    number: int
    threshold: float
    alarm_rate: float


def routed_predictions(
    own: Predictions,
    others: dict[str, tuple[np.ndarray, Predictions]],
    chosen: np.ndarray,
    number: int,
    names: list[str],
) -> list[Predictions]:
    """Predictions after each task: by the own expert, or by another one on the images misrouted to it.

    Args:
        own: predictions of the product's own expert on its N test images.
        others: per other product the rows of the images ever misrouted to it, (n,), and its predictions on them.
        chosen: index of the chosen product by image and task, (N, T).
        number: the product's own index.
        names: all products in order of arrival.

    Returns:
        Predictions on the N images after each of the T tasks.
    """
    steps = []
    for step in chosen.T:
        arrays = {field: array.copy() for field, array in vars(own).items()}
        for other in np.setdiff1d(step, [number]):
            rows, predictions = others[names[other]]
            held = step[rows] == other
            for field, array in arrays.items():
                array[rows[held]] = getattr(predictions, field)[held]
        steps.append(Predictions(**arrays))
    return steps


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


def grade(predictions: Predictions, labels: np.ndarray, masks: np.ndarray | None, sigma: float) -> Grade:
    """Ranks images by their comparable score, since several experts may have scored them, and pixels by their map.

    Args:
        predictions: predictions on N images.
        labels: 1 defective, (N,).
        masks: (N, S, S), bool; None if the defects are not marked.
        sigma: smoothing of the anomaly maps in pixels.

    Returns:
        Metrics of images and pixels.
    """
    image = ranking(labels, predictions.comparable_score)
    if masks is None:
        return Grade(image, Ranking(None, None, None, None, "the product has no masks"))
    return Grade(image, pixel_ranking(masks, anomaly_maps(predictions.patch_score, size=masks.shape[-1], sigma=sigma)))


def grades(outcome: Outcome, sigma: float) -> tuple[Grade, list[Grade]]:
    """Grades the own expert, and the routed experts after each task; equal predictions are graded once.

    Args:
        outcome: outcome of a product.
        sigma: smoothing of the anomaly maps in pixels.

    Returns:
        The own expert's grade, and one per task since the product's own.
    """
    own = grade(outcome.own, outcome.labels, outcome.masks, sigma)
    known = {np.full(len(outcome.labels), outcome.number).tobytes(): own}
    routed = []
    for column, predictions in zip(outcome.chosen.T, outcome.routed, strict=True):
        key = column.astype(np.int64).tobytes()
        if key not in known:
            known[key] = grade(predictions, outcome.labels, outcome.masks, sigma)
        routed.append(known[key])
    return own, routed


def class_metrics(outcome: Outcome, own: Grade, routed: Grade) -> tuple[Metrics, dict[str, str]]:
    """All metrics of one product, by the routed experts and (with the suffix _own_expert) by its own expert.

    A rejected image gets no prediction: it is neither a false alarm nor a found defect.

    Args:
        outcome: outcome of the product.
        own: grade of its own expert.
        routed: grade of the routed experts after the last task.

    Returns:
        The metrics, and for each one that is None the reason.
    """
    metrics: Metrics = {}
    reasons: dict[str, str] = {}
    unrejected = np.zeros_like(outcome.rejected)
    variants = [("", outcome.routed[-1], routed, outcome.rejected), ("_own_expert", outcome.own, own, unrejected)]
    for suffix, predictions, grade_, rejected in variants:
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
        counted = asdict(alarm_metrics(outcome.labels, alarms(predictions.p_value, outcome.alarm_rate) & ~rejected))
        reason = "no test image of the kind it needs, or no alarm"
        if np.isinf(outcome.threshold):
            counted = dict.fromkeys(counted)
            reason = f"fewer than {images_needed(outcome.alarm_rate)} calibration images"
        metrics |= {f"{metric}{suffix}": value for metric, value in counted.items()}
        reasons |= {f"{metric}{suffix}": reason for metric, value in counted.items() if value is None}
    metrics["alarm_rate"] = outcome.alarm_rate
    metrics["routing_accuracy"] = float((outcome.chosen[:, -1] == outcome.number).mean())
    return metrics, reasons


@dataclass(frozen=True)
class Evaluation:
    """A method's results.

    Attributes:
        classes: per product its metrics, and under "undefined" why some are None.
        summary: means over the products, the continual account and the calibration.
        own, routed: per metric of `CONTINUAL` the matrix R[i, j], (T, K), NaN where undefined.
    """

    classes: dict[str, dict[str, Any]]
    summary: dict[str, Any]
    own: dict[str, np.ndarray]
    routed: dict[str, np.ndarray]


def evaluate(products: dict[str, Outcome], *, sigma: float) -> Evaluation:
    """Evaluates a method on all products.

    The own experts' part of R is constant in time because their artifacts are: the stage statistics writes
    the digests of base and expert, and `Records` refuses scores of any others.

    Args:
        products: outcomes by product, in order of arrival.
        sigma: smoothing of the anomaly maps in pixels.

    Returns:
        Metrics of each product and of all.
    """
    tasks = max(len(outcome.routed) for outcome in products.values())
    own, routed = ({metric: np.full((tasks, len(products)), np.nan) for metric in CONTINUAL} for _ in range(2))
    classes: dict[str, dict[str, Any]] = {}
    for column, (name, outcome) in enumerate(products.items()):
        own_grade, routed_grades = grades(outcome, sigma)
        metrics, reasons = class_metrics(outcome, own_grade, routed_grades[-1])
        classes[name] = {**metrics, "undefined": reasons}
        arrival = tasks - len(routed_grades)
        for metric in CONTINUAL:
            own[metric][arrival:, column] = own_grade.value(metric)
            routed[metric][arrival:, column] = [routed_grade.value(metric) for routed_grade in routed_grades]
    summary: dict[str, Any] = dict(mean_metrics(classes))
    summary["continual"] = {
        metric: {name: asdict(account) for name, account in continual_account(own[metric], routed[metric]).items()}
        for metric in CONTINUAL
    }
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
