"""Where a product's embeddings lie."""

import torch
from samples import prototype_of

from moleflow.features.gaussian import left_out_distances


def test_rank_beyond_images_and_channels_is_cut(products):
    made = prototype_of(products[0], router_rank=500)
    assert made.gaussian.directions.shape == (11, 12)
    assert made.gaussian.floor > 0


def test_left_out_distances_are_to_the_center_of_the_others():
    embedded = torch.randn(7, 3)
    others = torch.stack([torch.cat([embedded[:row], embedded[row + 1 :]]).mean(0) for row in range(7)])
    torch.testing.assert_close(
        left_out_distances(embedded), (embedded - others).double().square().sum(1), rtol=1e-5, atol=1e-6
    )
