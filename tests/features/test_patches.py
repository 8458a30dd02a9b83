import pytest
import torch

from moleflow.features.patches import LAYER_MERGES, embeddings, layer_channels, patch_features


def maps(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, channels, side, side, generator=generator) for channels, side in ((6, 8), (10, 4))]


@pytest.mark.parametrize("layer_merge", LAYER_MERGES)
@pytest.mark.parametrize(("grid", "side"), [(0, 8), (4, 4), (16, 16)])
@pytest.mark.parametrize("embed_dim", [16, 12])
def test_shape_and_linearity(layer_merge, grid, side, embed_dim):
    def function(some):
        return patch_features(some, neighborhood=3, embed_dim=embed_dim, grid=grid, layer_merge=layer_merge)

    first, second = maps(0), maps(1)
    mixed = function([2 * a - 3 * b for a, b in zip(first, second, strict=True)])
    assert mixed.shape == (2, side, side, embed_dim)
    torch.testing.assert_close(mixed, 2 * function(first) - 3 * function(second), atol=1e-5, rtol=1e-5)


def test_concat_at_the_layers_own_grid_is_the_channels_side_by_side():
    some = maps()
    features = patch_features([some[1], some[1]], neighborhood=1, embed_dim=20, grid=4, layer_merge="concat")
    torch.testing.assert_close(features, torch.cat([some[1], some[1]], 1).permute(0, 2, 3, 1))


def test_layers_lie_side_by_side_only_when_concatenated_unpooled():
    assert layer_channels(maps(), embed_dim=16, layer_merge="concat") == [6, 10]
    assert layer_channels(maps(), embed_dim=12, layer_merge="concat") == [12]
    assert layer_channels(maps(), embed_dim=16, layer_merge="mean") == [16]


def test_mean_averages_the_neighborhood_and_the_layers():
    constant = [torch.full((1, 4, 12, 12), 1.0), torch.full((1, 4, 6, 6), 3.0)]
    features = patch_features(constant, neighborhood=3, embed_dim=4, grid=12, layer_merge="mean")
    torch.testing.assert_close(features[0, 5, 5], torch.full((4,), 2.0))


def test_coarser_grid_averages_every_position():
    layer = torch.zeros(1, 1, 8, 8)
    layer[0, 0, 1, 1] = 16.0
    features = patch_features([layer], neighborhood=1, embed_dim=1, grid=2, layer_merge="concat")
    assert features[0, 0, 0, 0] == 1.0


def test_embedding_is_the_median_of_every_channel():
    features = torch.randn(3, 4, 4, 5, generator=torch.Generator().manual_seed(0))
    embedded = embeddings(features)
    assert embedded.shape == (len(features), 5)
    torch.testing.assert_close(embedded[1], features[1].reshape(16, 5).median(0).values)
    ordered = features[1].reshape(16, 5).sort(dim=0).values
    features[1, 0, :3] += 100.0  # a defect on three patches of sixteen moves the median by three ranks at most
    defective = embeddings(features)[1]
    assert ((defective >= ordered[7]) & (defective <= ordered[10])).all()
