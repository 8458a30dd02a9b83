"""Features that stay in the store until asked for are the same as features computed at once."""

import numpy as np
import pytest
import torch

from moleflow.features.image_features import ImageFeatures, StandardizedFeatures, images_within
from moleflow.features.patches import patch_features
from moleflow.files.feature_store import SHARD

PATCHING = {"neighborhood": 3, "embed_dim": 8, "grid": 4, "layer_merge": "concat"}
SHIFT, MATRIX = torch.linspace(-1, 1, 8), torch.randn(8, 8, generator=torch.Generator().manual_seed(0))


def maps_of(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, 6, 8, 8, generator=generator), torch.randn(count, 10, 4, 4, generator=generator)]


@pytest.fixture
def both(make_split):
    """Features of two splits, lazily and directly; the second split is longer than a shard."""
    parts = [maps_of(7, 0), maps_of(SHARD + 9, 1)]
    splits = tuple(make_split(maps=maps, name=f"part{number}") for number, maps in enumerate(parts))
    stored = [torch.cat([first.half(), second.half()]) for first, second in zip(*parts, strict=True)]
    direct = ((patch_features(stored, **PATCHING) - SHIFT) @ MATRIX).half()
    return StandardizedFeatures(splits, PATCHING, SHIFT, MATRIX), direct


def test_they_are_what_training_takes(both):
    features, direct = both
    assert isinstance(features, ImageFeatures)
    assert isinstance(direct, ImageFeatures)
    assert features.shape == tuple(direct.shape)
    assert len(features) == len(direct)


def test_any_rows_in_any_order(both):
    features, direct = both
    shuffled = np.random.default_rng(0).permutation(len(direct))
    twice = np.random.default_rng(1).integers(0, len(direct), 120)
    for rows in (slice(None), slice(3, 12), shuffled, shuffled[:5], twice, np.array([70]), np.array([], np.int64)):
        torch.testing.assert_close(features[rows], direct[rows], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("rows", [[3, 3, 4], [4, 3, 3], [5, 5], [3, 4, 4, 6], [-1, -1]])
def test_rows_asked_for_twice_are_given_twice(both, rows):
    features, direct = both
    torch.testing.assert_close(features[rows], direct[rows], rtol=1e-2, atol=1e-3)
    assert [features.images[row] for row in rows] == [features.take(np.array(rows)).images[n] for n in range(len(rows))]


def test_a_part_is_numbered_anew(both):
    features, direct = both
    rows = np.array([2, 5, 9, 50, 75])
    part = features.take(rows)
    assert part.shape == (5, 4, 4, 8)
    torch.testing.assert_close(part[np.array([4, 0])], direct[rows[[4, 0]]], rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(part.take(np.array([3]))[:], direct[50:51], rtol=1e-2, atol=1e-3)


def test_the_first_channels_alone(both):
    features, direct = both
    part = features.take(np.array([2, 5])).first(3)
    assert part.shape == (2, 4, 4, 3)
    torch.testing.assert_close(part[:], direct[[2, 5]][..., :3], rtol=1e-2, atol=1e-2)


def test_memory_is_counted_in_images():
    features = torch.zeros(10, 4, 4, 32, dtype=torch.half)  # 1 KiB each
    assert images_within(features, 5 / 2**20) == 5
    assert images_within(features, 1e-9) == 1
