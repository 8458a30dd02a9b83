"""The account of learning product after product."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Forgetting:
    """What was lost since it was best, mean over the products that were not the last.

    Attributes:
        weights: lost by the products' own experts; 0 if nothing old moved.
        routing: lost beyond that, to images that newer prototypes steal.
    """

    weights: float | None
    routing: float | None


def forgetting(own: np.ndarray, routed: np.ndarray) -> Forgetting:
    """f_j = max_l R[l, j] − R[last, j], split into weights and router theft.

    Args:
        own: R[i, j], a metric on product j after product i arrived, judged by its own expert, (K, K);
            NaN above the diagonal and where the metric is undefined.
        routed: the same, judged by the expert that the router picks among the first i+1 products.

    Returns:
        Both means; None if fewer than two products have the metric.

    Source: Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018, section 4; the
    split is METHOD section 7's.
    """
    defined = [j for j in range(len(own) - 1) if np.isfinite(own[-1, j]) and np.isfinite(routed[-1, j])]
    if not defined:
        return Forgetting(None, None)
    weights = float(np.mean([np.nanmax(own[j:, j]) - own[-1, j] for j in defined]))
    total = float(np.mean([np.nanmax(routed[j:, j]) - routed[-1, j] for j in defined]))
    return Forgetting(weights, total - weights)
