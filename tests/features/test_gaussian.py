"""Where a product's embeddings lie."""

from samples import prototype_of


def test_rank_beyond_images_and_channels_is_cut(products):
    made = prototype_of(products[0], router_rank=500)
    assert made.gaussian.directions.shape == (11, 12)
    assert made.gaussian.floor > 0
