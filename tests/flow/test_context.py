"""How patches see their neighbors."""

import torch

from moleflow.flow.context import SPATIAL_MIXERS


def test_mixer_starts_as_the_mean_of_x_and_a_box_average():
    x = torch.ones(1, 5, 5, 8)
    mixed = SPATIAL_MIXERS["mixer"](8)(x)
    torch.testing.assert_close(mixed[:, 2, 2], x[:, 2, 2])
    a = torch.tensor(0.5).sigmoid()
    torch.testing.assert_close(mixed[0, 0, 0, 0], 1 - a + a * 4 / 9)  # zero padding at the corner
