"""Distances to the nearest training images."""

import pytest
import torch

from moleflow.features import neighbors
from moleflow.features.neighbors import left_out_distances, neighbor_distances


@pytest.mark.parametrize("count", [2, 4, 30])
def test_an_image_is_compared_with_the_nearest_of_the_others(count, monkeypatch):
    embedded, known = torch.randn(11, 6), torch.randn(count, 6)
    distances = (embedded[:, None] - known).double().norm(dim=2).sort(dim=1).values[:, :5]
    torch.testing.assert_close(neighbor_distances(embedded, known), distances.mean(1))
    others = [torch.cat([known[:row], known[row + 1 :]]) for row in range(count)]
    expected = torch.cat([neighbor_distances(known[[row]], others[row]) for row in range(count)])
    torch.testing.assert_close(left_out_distances(known), expected)
    monkeypatch.setattr(neighbors, "AT_ONCE", 3)
    torch.testing.assert_close(left_out_distances(known), expected)
    torch.testing.assert_close(neighbor_distances(embedded, known), distances.mean(1))
