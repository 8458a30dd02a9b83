"""Tables behind `dvc plots`; the templates in .dvc/plots say how they are drawn."""

import numpy as np
import pandas as pd

from moleflow.evaluation.metrics import roc_curve
from moleflow.evaluation.results import Evaluation, Outcome

BINS = 30


def curve_tables(products: dict[str, Outcome]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ROC and precision-recall curves of the image scores, routed; products with one kind of label are left out.

    Args:
        products: outcomes by product.

    Returns:
        Columns product, false_positive_rate, recall; and product, recall, precision.
    """
    roc, pr = [], []
    for product, outcome in products.items():
        if 0 < outcome.labels.sum() < len(outcome.labels):
            fallout, recall, precision = roc_curve(outcome.labels, outcome.routed[-1].comparable_score)
            start = {"product": [product], "false_positive_rate": [0.0], "recall": [0.0]}
            points = pd.DataFrame({"product": product, "false_positive_rate": fallout, "recall": recall})
            roc += [pd.DataFrame(start), points]
            pr.append(pd.DataFrame({"product": product, "recall": recall, "precision": precision}))
    return (
        _joined(roc, ["product", "false_positive_rate", "recall"]),
        _joined(pr, ["product", "recall", "precision"]),
    )


def histogram_table(products: dict[str, Outcome]) -> pd.DataFrame:
    """Histogram of the image scores of normal and of defective test images by the product's own expert.

    Args:
        products: outcomes by product.

    Returns:
        Columns product, kind (normal or defective), score (left edge), score_end, images, threshold
        (of the own expert; empty if it cannot be warranted).
    """
    tables = []
    for product, outcome in products.items():
        scores = outcome.own.image_score
        edges = np.histogram_bin_edges(scores, BINS)
        threshold = outcome.threshold if np.isfinite(outcome.threshold) else None
        for kind, label in (("normal", 0), ("defective", 1)):
            counts, _ = np.histogram(scores[outcome.labels == label], edges)
            bins = {"score": edges[:-1], "score_end": edges[1:], "images": counts}
            tables.append(pd.DataFrame({"product": product, "kind": kind, **bins, "threshold": threshold}))
    return pd.concat(tables)


def confusion_table(products: dict[str, Outcome]) -> pd.DataFrame:
    """One row per test image, which `dvc plots` counts.

    Args:
        products: outcomes by product.

    Returns:
        Columns product, routed (a product or "unknown").
    """
    names = [*products, "unknown"]
    tables = []
    for product, outcome in products.items():
        routed = np.where(outcome.rejected, len(products), outcome.chosen[:, -1])
        tables.append(pd.DataFrame({"product": product, "routed": [names[number] for number in routed]}))
    return pd.concat(tables)


def matrix_table(evaluation: Evaluation, tasks: list[str]) -> pd.DataFrame:
    """The matrices R; undefined entries are left out.

    Args:
        evaluation: evaluation of the flow.
        tasks: tasks in order of arrival.

    Returns:
        Columns metric, after (task), product, routed, own_expert.
    """
    rows = [
        {
            "metric": metric,
            "after": task,
            "product": product,
            "routed": evaluation.routed[metric][step, column],
            "own_expert": evaluation.own[metric][step, column],
        }
        for metric in evaluation.routed
        for step, task in enumerate(tasks)
        for column, product in enumerate(evaluation.classes)
    ]
    return pd.DataFrame(rows).dropna()


def misrouted_table(
    images: dict[str, list[str]], products: dict[str, Outcome], distances: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Every test image that is misrouted after the last task.

    Args:
        images: paths of the test images by product, in order of arrival.
        products: outcomes by product.
        distances: distances to every prototype by product, (N, K).

    Returns:
        Columns product, image, routed (to which product), distance_own, distance_routed.
    """
    names, rows = list(products), []
    for number, (product, outcome) in enumerate(products.items()):
        last = outcome.chosen[:, -1]
        for row in np.flatnonzero(last != number):
            distance = distances[product][row]
            columns = {"distance_own": distance[number], "distance_routed": distance[last[row]]}
            rows.append({"product": product, "image": images[product][row], "routed": names[last[row]], **columns})
    return pd.DataFrame(rows, columns=["product", "image", "routed", "distance_own", "distance_routed"])


def _joined(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables) if tables else pd.DataFrame(columns=columns)
