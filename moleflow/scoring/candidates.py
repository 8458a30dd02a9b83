"""Which of several candidate products an image shows: the one whose expert it surprises least."""

from collections.abc import Mapping

import numpy as np

from moleflow.scoring.scorer import Predictions

NOBODY = -1  # in place of a candidate where fewer products are known than are asked for


def surprises_by_product(
    predictions: Mapping[int, tuple[np.ndarray, Predictions]], images: int, products: int
) -> np.ndarray:
    """How much images surprise the experts that judged them.

    Args:
        predictions: by number of the product rows of the images that its expert judged, (n,), and its predictions.
        images: N, how many images there are.
        products: K, how many products are known.

    Returns:
        Comparable scores, (N, K), in nats; infinite where an expert was not asked.
    """
    found = np.full((images, products), np.inf)
    for number, (rows, judged) in predictions.items():
        found[rows, number] = judged.comparable_score
    return found


def least_surprised(candidates: np.ndarray, surprises: np.ndarray) -> np.ndarray:
    """Chooses among candidates by what normal images of each look like to its own expert.

    A likelihood says nothing beside that of another expert, and conformal p-values have ties and depend on how many
    images calibrate. The comparable score is −log p with a tail in place of the ties.

    Args:
        candidates: numbers of products, the nearest first, `NOBODY` where there is none, (N, T, K).
        surprises: from `surprises_by_product`.

    Returns:
        Number of the chosen product after each task, (N, T); ties go to the nearest.

    Source: docs/method.md, Routers.
    """
    asked = np.take_along_axis(surprises[:, None], np.maximum(candidates, 0), axis=2)
    least = np.where(candidates == NOBODY, np.inf, asked).argmin(2, keepdims=True)
    return np.take_along_axis(candidates, least, axis=2)[..., 0]
