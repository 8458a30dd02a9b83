"""Tables behind `dvc plots`; the templates in .dvc/plots say how they are drawn."""

import numpy as np
import pandas as pd

from moleflow.evaluation.metrics import roc_curve
from moleflow.evaluation.outcomes import Outcome
from moleflow.evaluation.results import Evaluation
from moleflow.routing.rejection import UNKNOWN

BINS = 30


def plot_tables(
    name: str, outcome: Outcome, names: list[str], *, images: list[str], distances: np.ndarray
) -> dict[str, pd.DataFrame]:
    """What the plots and the table of misrouted images show of one product.

    Args:
        name: the product.
        outcome: its N test images.
        names: all K products in order of arrival.
        images: paths of its test images, N of them.
        distances: of its test images to every product, (N, K).

    Returns:
        Tables by name, each with the column product: roc (false_positive_rate, recall), pr (recall, precision),
        histogram (kind, score, score_end, images, threshold), confusion (routed) and misrouted (image, routed,
        distance_own, distance_routed).
    """
    roc, pr = _curves(name, outcome)
    return {
        "roc": roc,
        "pr": pr,
        "histogram": _histogram(name, outcome),
        "confusion": _confusion(name, outcome, names),
        "misrouted": _misrouted(name, outcome, names, images, distances),
    }


def joined(products: list[dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The tables of several products, one below the other.

    Args:
        products: tables by name, of each product.

    Returns:
        Tables by name.
    """
    tables = {}
    for key, first in products[0].items():
        filled = [product[key] for product in products if len(product[key])]
        tables[key] = pd.concat(filled) if filled else first
    return tables


def _curves(name: str, outcome: Outcome) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ROC and precision-recall curve of the image scores, routed; empty if all images have one kind of label."""
    if not 0 < outcome.labels.sum() < len(outcome.labels):
        columns = ["product", "false_positive_rate", "recall"], ["product", "recall", "precision"]
        return pd.DataFrame(columns=columns[0]), pd.DataFrame(columns=columns[1])
    fallout, recall, precision = roc_curve(outcome.labels, outcome.routed[-1].comparable_score)
    start = pd.DataFrame({"product": [name], "false_positive_rate": [0.0], "recall": [0.0]})
    points = pd.DataFrame({"product": name, "false_positive_rate": fallout, "recall": recall})
    return pd.concat([start, points]), pd.DataFrame({"product": name, "recall": recall, "precision": precision})


def _histogram(name: str, outcome: Outcome) -> pd.DataFrame:
    """Image scores of normal and of defective test images by the own expert; no threshold if it cannot be warranted."""
    scores = outcome.own[-1].image_score
    edges = np.histogram_bin_edges(scores, BINS)
    threshold = outcome.threshold if np.isfinite(outcome.threshold) else None
    tables = []
    for kind, label in (("normal", 0), ("defective", 1)):
        counts, _ = np.histogram(scores[outcome.labels == label], edges)
        bins = {"score": edges[:-1], "score_end": edges[1:], "images": counts}
        tables.append(pd.DataFrame({"product": name, "kind": kind, **bins, "threshold": threshold}))
    return pd.concat(tables)


def _confusion(name: str, outcome: Outcome, names: list[str]) -> pd.DataFrame:
    """One row per test image, which `dvc plots` counts; routed is a product or "unknown"."""
    routed = np.where(outcome.rejected, len(names), outcome.chosen[:, -1])
    return pd.DataFrame({"product": name, "routed": [[*names, UNKNOWN][number] for number in routed]})


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


def _misrouted(name: str, outcome: Outcome, names: list[str], images: list[str], distances: np.ndarray) -> pd.DataFrame:
    """Every test image that is misrouted after the last task."""
    last = outcome.chosen[:, -1]
    rows = [
        [name, images[row], names[last[row]], distances[row, outcome.number], distances[row, last[row]]]
        for row in np.flatnonzero(last != outcome.number)
    ]
    return pd.DataFrame(rows, columns=["product", "image", "routed", "distance_own", "distance_routed"])
