"""Outcomes: what a method predicts on a product's test images after each task, by its own and by the routed experts."""

from dataclasses import dataclass

import numpy as np

from moleflow.scoring.scorer import Predictions

# How R[i, j] of the own experts is known; the tables say it.
MEASURED = "measured after each task"
PROVED = "proved by digest"  # base and expert are the very files that predicted
SEPARATE = "each fitted on its product alone"  # a baseline: no task has a part in another product's model


@dataclass(frozen=True)
class Outcome:
    """Predictions on a product's test images after each task, from its own on, with the truth.

    Any method has them: one whose parameters move predicts anew after each task; one whose parameters stay puts the
    same object there again.

    Attributes:
        labels: 1 defective, (N,).
        masks: (N, S, S) bool; None if the defects are not marked.
        own: predictions of its own expert after each of T tasks.
        routed: predictions of the experts that the router picks after each of T tasks.
        chosen: index of the chosen product by image and task, (N, T).
        rejected: images that the router rejects after the last task, as showing no known product, (N,), bool.
        number: the product's own index.
        threshold: alarm above this image score of its own expert; infinite if it cannot be warranted.
        pixel_threshold: pixels of an anomaly map so far above their image's level are marked; infinite likewise.
        alarm_rate: p-values by its own expert up to this raise an alarm.
        routed_rates: of each image that of the product chosen after the last task, (N,).
        unmoved: how it is known that `own` is the same after each task; empty if it was predicted anew.
    """

    labels: np.ndarray
    masks: np.ndarray | None
    own: list[Predictions]
    routed: list[Predictions]
    chosen: np.ndarray
    rejected: np.ndarray
    number: int
    threshold: float
    pixel_threshold: float
    alarm_rate: float
    routed_rates: np.ndarray
    unmoved: str


def routed_predictions(
    own: list[Predictions],
    others: dict[str, tuple[np.ndarray, list[Predictions]]],
    chosen: np.ndarray,
    number: int,
    names: list[str],
) -> list[Predictions]:
    """Predictions after each task: by the own expert, or by another one on the images misrouted to it.

    Args:
        own: predictions of the product's own expert on its N test images after each of T tasks.
        others: per other product the rows of the images ever misrouted to it, (n,), and its predictions on them after
            each of the T tasks.
        chosen: index of the chosen product by image and task, (N, T).
        number: the product's own index.
        names: all products in order of arrival.

    Returns:
        Predictions on the N images after each of the T tasks; the same object where nothing differs.
    """
    steps: list[Predictions] = []
    known: dict[tuple[object, ...], Predictions] = {}
    for step, column in enumerate(chosen.T):
        asked = [names[other] for other in np.setdiff1d(column, [number])]
        key = (column.tobytes(), id(own[step]), *(id(others[name][1][step]) for name in asked))
        if key not in known:
            by_others = {name: (others[name][0], others[name][1][step]) for name in asked}
            known[key] = _mixed(own[step], by_others, column, names)
        steps.append(known[key])
    return steps


def _mixed(
    own: Predictions, others: dict[str, tuple[np.ndarray, Predictions]], chosen: np.ndarray, names: list[str]
) -> Predictions:
    """Own predictions, replaced where another product was chosen, (N,)."""
    if not others:
        return own
    arrays = {field: array.copy() for field, array in vars(own).items()}
    for name, (rows, predictions) in others.items():
        held = chosen[rows] == names.index(name)
        for field, array in arrays.items():
            array[rows[held]] = getattr(predictions, field)[held]
    return Predictions(**arrays)
