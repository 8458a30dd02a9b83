"""Quarter turns: maps come back to their place, and the least of them counts."""

import numpy as np
import torch

from moleflow.features.orientations import least_over_turns

SIDE = 3


def by_place(features):
    """What a patch holds, times the number of its place: nothing but the place makes turns differ."""
    return {"found": features[..., 0] * torch.arange(1, 1 + SIDE**2).reshape(SIDE, SIDE)}


def test_every_patch_gets_the_least_of_the_places_that_it_comes_to():
    features = torch.rand(2, SIDE, SIDE, 1) + 0.1
    found = least_over_turns(by_place, features, 4)["found"].numpy()
    for row, column in np.ndindex(SIDE, SIDE):
        places, (r, c) = [], (row, column)
        for _ in range(4):
            places.append(1 + r * SIDE + c)
            r, c = SIDE - 1 - c, r
        np.testing.assert_allclose(found[:, row, column], features[:, row, column, 0] * min(places), rtol=1e-6)


def test_one_orientation_is_the_judgment_itself():
    features = torch.rand(2, SIDE, SIDE, 1)
    assert least_over_turns(by_place, features, 1)["found"].equal(by_place(features)["found"])


def test_a_defect_at_a_corner_stays_at_that_corner():
    features = torch.ones(1, SIDE, SIDE, 1)
    features[0, 0, SIDE - 1] = 100
    found = least_over_turns(by_place, features, 4)["found"]
    assert found.flatten().argmax() == SIDE - 1
