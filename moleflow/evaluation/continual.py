"""The continual account: how metrics change from task to task."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Account:
    """A continual figure and its two parts.

    Attributes:
        total: with the expert that the router picks.
        own_expert: with the product's own expert; its forgetting is 0 if nothing old moved.
        routing: what the router adds, total − own_expert.
    """

    total: float | None
    own_expert: float | None
    routing: float | None


def _average_incremental(matrix: np.ndarray) -> float:
    """Mean over the tasks of the mean over the products known by then."""
    return float(np.mean([np.nanmean(row) for row in matrix if np.isfinite(row).any()]))


def _older(matrix: np.ndarray) -> np.ndarray:
    """The columns of products that arrived before the last task."""
    return matrix[:, np.isfinite(matrix).sum(0) > 1]


def _backward_transfer(matrix: np.ndarray) -> float:
    """Mean change since a product arrived: R[last, j] − R[arrival of j, j]."""
    return float(np.mean([column[-1] - column[np.isfinite(column)][0] for column in _older(matrix).T]))


def _forgetting(matrix: np.ndarray) -> float:
    """Mean loss since a product's best earlier task: max over l before the last of R[l, j], less R[last, j]."""
    return float(np.mean([np.nanmax(column[:-1]) - column[-1] for column in _older(matrix).T]))


FIGURES = {
    "average_incremental": _average_incremental,
    "backward_transfer": _backward_transfer,
    "forgetting": _forgetting,
}


def continual_account(own: np.ndarray, routed: np.ndarray) -> dict[str, Account]:
    """Average incremental metric, backward transfer and forgetting, each split into its two causes.

    Args:
        own: R[i, j], a metric on product j after task i with its own expert, (T, K); NaN before
            the product arrives and, for a whole column, where the metric is undefined.
        routed: the same with the expert that the router picks among the products known by then, (T, K).

    Returns:
        One account per name in `FIGURES`; None in it where nothing is defined (one task cannot forget),
        and None for total and routing where only one of R[i, j]'s two readings is defined: means over
        different products cannot be compared.

    Source: Lopez-Paz and Ranzato, "Gradient Episodic Memory", NeurIPS 2017, section 2 (backward
    transfer); Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018, section 4
    (forgetting); docs/method.md, Continual account, for the split.
    """
    accounts = {}
    for name, figure in FIGURES.items():
        needed = own if name == "average_incremental" else _older(own)
        own_expert = figure(own) if np.isfinite(needed).any() else None
        if own_expert is None or (np.isfinite(own) != np.isfinite(routed)).any():
            accounts[name] = Account(None, own_expert, None)
        else:
            total = figure(routed)
            accounts[name] = Account(total, own_expert, total - own_expert)
    return accounts
