"""From verdicts and routes to the numbers of one product and of all, for the flow and its rivals alike."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from moleflow.calibration import alarms, images_needed
from moleflow.continual import continual_account
from moleflow.metrics import Ranking, alarm_metrics, mean_of_defined, pixel_ranking, ranking
from moleflow.scorer import Verdicts
from moleflow.scoring import anomaly_maps

Metrics = dict[str, float | None]

CONTINUAL = ("image_auroc", "pixel_ap", "aupro")  # metrics that are followed from task to task


@dataclass(frozen=True)
class Judged:
    """A product's test images as its own expert and as the routed experts see them.

    Attributes:
        labels: 1 defective, (N,).
        masks: (N, S, S) bool; None if nobody marked the defects.
        own: verdicts of its own expert.
        routed: verdicts after each task, from the product's own to the last.
        chosen: index of the chosen product by image and task, (N, len(routed)).
        rejected: images that show no known product, says the router after the last task, (N,).
        number: the product's own index.
        threshold: alarm above this image score of its own expert; infinite if it cannot be warranted.
        alarm_rate: p-values up to this raise an alarm.
    """

    labels: np.ndarray
    masks: np.ndarray | None
    own: Verdicts
    routed: list[Verdicts]
    chosen: np.ndarray
    rejected: np.ndarray
    number: int
    threshold: float
    alarm_rate: float


def routed_verdicts(
    own: Verdicts, others: dict[str, tuple[np.ndarray, Verdicts]], chosen: np.ndarray, number: int, names: list[str]
) -> list[Verdicts]:
    """The own verdicts after each task, with other experts' on the images that are sent to them then.

    Args:
        own: verdicts of the product's own expert on its N test images.
        others: per other product the rows of the images that are ever sent to it, (n,), and its verdicts on them.
        chosen: index of the chosen product by image and task, (N, T).
        number: the product's own index.
        names: all products in order of arrival.
    """
    steps = []
    for step in chosen.T:
        arrays = {key: value.copy() for key, value in vars(own).items()}
        for other in np.setdiff1d(step, [number]):
            rows, verdicts = others[names[other]]
            held = step[rows] == other
            for key, values in arrays.items():
                values[rows[held]] = getattr(verdicts, key)[held]
        steps.append(Verdicts(**arrays))
    return steps


@dataclass(frozen=True)
class Grade:
    """How well some verdicts on a product's images rank them and their pixels."""

    image: Ranking
    pixel: Ranking

    def value(self, metric: str) -> float:
        """One of `CONTINUAL`; NaN if undefined."""
        values = {"image_auroc": self.image.auroc, "pixel_ap": self.pixel.ap, "aupro": self.pixel.aupro}
        value = values[metric]
        return np.nan if value is None else value


def grade(verdicts: Verdicts, labels: np.ndarray, masks: np.ndarray | None, sigma: float) -> Grade:
    """Ranks images by their comparable score and pixels by their anomaly map: several experts may have judged them."""
    image = ranking(labels, verdicts.comparable_score)
    if masks is None:
        return Grade(image, Ranking(None, None, None, None, "the class has no masks"))
    return Grade(image, pixel_ranking(masks, anomaly_maps(verdicts.patch_score, size=masks.shape[-1], sigma=sigma)))


def grades(judged: Judged, sigma: float) -> tuple[Grade, list[Grade]]:
    """The own expert's grade, and the routed experts' after each task; equal verdicts are graded once."""
    own = grade(judged.own, judged.labels, judged.masks, sigma)
    known = {np.full(len(judged.labels), judged.number).tobytes(): own}
    routed = []
    for column, verdicts in zip(judged.chosen.T, judged.routed, strict=True):
        key = column.astype(np.int64).tobytes()
        if key not in known:
            known[key] = grade(verdicts, judged.labels, judged.masks, sigma)
        routed.append(known[key])
    return own, routed


def class_metrics(judged: Judged, own: Grade, routed: Grade) -> tuple[Metrics, dict[str, str]]:
    """All metrics of one product, routed and (with the suffix _oracle) judged by its own expert.

    A rejected image gets no verdict: it is neither a false alarm nor a found defect.

    Returns:
        The metrics, and for each one that is None the reason.
    """
    metrics: Metrics = {}
    reasons: dict[str, str] = {}
    unrejected = np.zeros_like(judged.rejected)
    variants = [("", judged.routed[-1], routed, judged.rejected), ("_oracle", judged.own, own, unrejected)]
    for suffix, verdicts, grade_, rejected in variants:
        image, pixel = grade_.image, grade_.pixel
        rankings = {
            **{"image_auroc": image.auroc, "image_ap": image.ap, "image_best_f1_on_test": image.best_f1},
            **{"pixel_auroc": pixel.auroc, "pixel_ap": pixel.ap, "pixel_best_f1_on_test": pixel.best_f1},
            "aupro": pixel.aupro,
        }
        metrics |= {f"{key}{suffix}": value for key, value in rankings.items()}
        reasons |= {
            f"{key}{suffix}": (image if key.startswith("image") else pixel).reason
            for key, value in rankings.items()
            if value is None
        }
        counted = asdict(alarm_metrics(judged.labels, alarms(verdicts.p_value, judged.alarm_rate) & ~rejected))
        reason = "no test image of the kind it needs, or no alarm"
        if np.isinf(judged.threshold):
            counted = dict.fromkeys(counted)
            reason = f"fewer than {images_needed(judged.alarm_rate)} held-out normal images"
        metrics |= {f"{key}{suffix}": value for key, value in counted.items()}
        reasons |= {f"{key}{suffix}": reason for key, value in counted.items() if value is None}
    metrics["alarm_rate"] = judged.alarm_rate
    metrics["routing_accuracy"] = float((judged.chosen[:, -1] == judged.number).mean())
    return metrics, reasons


@dataclass(frozen=True)
class Evaluation:
    """A method's numbers.

    Attributes:
        classes: per product its metrics, and under "undefined" why some are None.
        summary: means over the products, the continual account and the calibration.
        own, routed: per metric of `CONTINUAL` the matrix R[i, j], (T, K), NaN where undefined.
    """

    classes: dict[str, dict[str, Any]]
    summary: dict[str, Any]
    own: dict[str, np.ndarray]
    routed: dict[str, np.ndarray]


def evaluate(products: dict[str, Judged], *, sigma: float) -> Evaluation:
    """Evaluates a method on all products.

    The own experts' part of R is constant in time because their artifacts are: statistics wrote the
    digests of base and expert, and the stage refuses scores of any others.

    Args:
        products: test images by product, in order of arrival.
        sigma: smoothing of the anomaly maps in pixels.
    """
    tasks = max(len(judged.routed) for judged in products.values())
    own, routed = ({metric: np.full((tasks, len(products)), np.nan) for metric in CONTINUAL} for _ in range(2))
    classes: dict[str, dict[str, Any]] = {}
    for column, (name, judged) in enumerate(products.items()):
        own_grade, routed_grades = grades(judged, sigma)
        metrics, reasons = class_metrics(judged, own_grade, routed_grades[-1])
        classes[name] = {**metrics, "undefined": reasons}
        arrival = tasks - len(routed_grades)
        for metric in CONTINUAL:
            own[metric][arrival:, column] = own_grade.value(metric)
            routed[metric][arrival:, column] = [each.value(metric) for each in routed_grades]
    summary: dict[str, Any] = dict(mean_metrics(classes))
    summary["continual"] = {
        metric: {name: asdict(account) for name, account in continual_account(own[metric], routed[metric]).items()}
        for metric in CONTINUAL
    }
    summary["calibration"] = calibration_summary(classes)
    return Evaluation(classes, summary, own, routed)


def mean_metrics(classes: dict[str, dict[str, Any]]) -> Metrics:
    """Mean of each metric over the products that have it; None if none has. Ends of intervals have no mean."""
    left_out = ("undefined", "alarm_rate", "false_alarm_low", "false_alarm_high")
    keys = [key for key in next(iter(classes.values())) if not key.startswith(left_out)]
    return {key: mean_of_defined(metrics[key] for metrics in classes.values()) for key in keys}


def calibration_summary(classes: dict[str, dict[str, Any]]) -> Metrics:
    """The promised rates of false alarms against the realised ones, each product given.

    Returns:
        target, the mean of the promised rates; mean_gap, the mean of |realised − promised|; kept, the share of
        the products whose realised rate is not surely (by its 95 % interval) above the promised one.
    """
    target = float(np.mean([metrics["alarm_rate"] for metrics in classes.values()]))
    keys = ("alarm_rate", "false_alarm_rate_oracle", "false_alarm_low_oracle")
    rates = [[metrics[key] for key in keys] for metrics in classes.values() if metrics[keys[1]] is not None]
    if not rates:
        return {"target": target, "mean_gap": None, "kept": None}
    promised, realised, low = np.array(rates).T
    return {
        "target": target,
        "mean_gap": float(np.abs(realised - promised).mean()),
        "kept": float((low <= promised).mean()),
    }
