"""Unknown products: does the router notice what it has never seen?"""

from dataclasses import dataclass

import numpy as np

from moleflow.evaluation.metrics import ranking
from moleflow.routing.rejection import rejected


@dataclass(frozen=True)
class Located:
    """How strange a product's test images are to every prototype.

    Attributes:
        labels: 1 defective, (N,).
        p_value: `OwnImages.p_values` for every prototype, (N, K).
        strangeness: distances to every prototype, (N, K).
    """

    labels: np.ndarray
    p_value: np.ndarray
    strangeness: np.ndarray

    @property
    def of_nearest(self) -> np.ndarray:
        """How unlikely the images are to be of the product most like them, −p, (N,)."""
        return -self.p_value[np.arange(len(self.p_value)), self.strangeness.argmin(1)]

    def rejected(self, reject_rate: float) -> np.ndarray:
        """Which images are rejected.

        Args:
            reject_rate: see `moleflow.routing.rejection.rejected`.

        Returns:
            (N,), bool.
        """
        return rejected(self.p_value, self.strangeness, reject_rate)


def open_set_metrics(products: dict[str, Located], reject_rate: float) -> dict[str, dict[str, float | None]]:
    """Rejection of known images, and of each product while the router does not know it.

    Args:
        products: test images by product, in the order of the K prototypes.
        reject_rate: see `moleflow.routing.rejection.rejected`.

    Returns:
        Per product: rejected_normal and rejected_defective, shares of its images that are rejected
        although it is known; unknown_rejected, the share that is rejected when its prototype is left
        out; open_set_auroc, how well its images are then told from those of the other products. None
        where there is no such image or no other product.
    """
    metrics: dict[str, dict[str, float | None]] = {}
    for number, (name, product) in enumerate(products.items()):
        known = product.rejected(reject_rate)
        unknown_rejected = auroc = None
        if len(products) > 1:
            without = {other: _without(located, number) for other, located in products.items()}
            unknown_rejected = float(without[name].rejected(reject_rate).mean())
            strangeness = {other: located.of_nearest for other, located in without.items()}
            labels = np.concatenate([np.full(len(scores), other == name) for other, scores in strangeness.items()])
            auroc = ranking(labels, np.concatenate(list(strangeness.values()))).auroc
        metrics[name] = {
            "rejected_normal": _share(known[product.labels == 0]),
            "rejected_defective": _share(known[product.labels == 1]),
            "unknown_rejected": unknown_rejected,
            "open_set_auroc": auroc,
        }
    return metrics


def _without(product: Located, number: int) -> Located:
    return Located(product.labels, np.delete(product.p_value, number, 1), np.delete(product.strangeness, number, 1))


def _share(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if len(flags) else None
