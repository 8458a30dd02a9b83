"""Among candidates, the product is chosen whose expert an image surprises least."""

import numpy as np
from samples import predictions

from moleflow.scoring.candidates import least_surprised, surprises_by_product


def test_the_least_surprised_expert_is_chosen_among_the_candidates_of_each_time():
    judged = {
        0: (np.array([0, 1, 2]), predictions([5, 1, 2])),
        1: (np.array([0, 2]), predictions([3, 2])),
        2: (np.array([0]), predictions([1])),
    }
    surprises = surprises_by_product(judged, 3, 3)
    assert surprises.tolist() == [[5, 3, 1], [1, np.inf, np.inf], [2, 2, np.inf]]
    candidates = np.array([[[0, -1], [0, 1], [2, 1]], [[0, -1], [0, -1], [0, -1]], [[0, -1], [1, 0], [1, 0]]])
    assert least_surprised(candidates, surprises).tolist() == [[0, 1, 2], [0, 0, 0], [0, 1, 1]]
