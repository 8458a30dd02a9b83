"""What is kept of normal patches, and how training images are judged as if they had been left out."""

import pytest
import torch
from samples import WHOLE, prototype_of

from moleflow.features.folds import fold_numbers
from moleflow.features.normal_patches import FOLDS, NormalPatches
from moleflow.features.position_gaussians import PositionGaussians, PositionMoments


@pytest.fixture
def features(make_split):
    """Of 12 images, and of two turned copies of each."""
    split = make_split(count=12)
    return prototype_of(split, patching=WHOLE, standardize="whiten").standardized(split, split, split)


def learned(features, **changes):
    return NormalPatches.of(
        features, [6, 10], **{"memory_size": 40, "memory_center": "position", "gaussian_rank": 3, **changes}
    )


def test_a_left_out_image_is_judged_by_the_others_alone(features):
    """Not by its copies either: they would make it look ordinary."""
    normal = learned(features, memory_center="none")
    found = normal.left_out_distances(features)
    assert found.keys() == {"memory0", "memory1", "gaussian"}
    assert all(distances.shape == (12, 4, 4) for distances in found.values())
    seen = normal.distances(features[:12])
    for name, distances in found.items():
        assert (distances >= seen[name] - 1e-2).float().mean() > 0.9
        assert distances.mean() > 1.05 * seen[name].mean()
    folds = torch.from_numpy(fold_numbers(12, FOLDS))
    others = PositionMoments.of(features[torch.cat([folds != folds[7]] * 3).nonzero()[:, 0].numpy()])
    expected = PositionGaussians.of(others, 3).distances(features[7:8])
    torch.testing.assert_close(found["gaussian"][7:8], expected, rtol=1e-2, atol=1e-2)


def test_a_turned_image_is_compared_at_the_places_that_it_comes_to(features):
    """Centers of a product whose places differ; these images' do not."""
    normal = learned(features, memory_center="none")
    normal.memory.center = torch.randn(features.shape[1:], generator=torch.Generator().manual_seed(0)).half()
    seen, nearest = normal.search(features[:2])
    turned, turned_nearest = normal.search(torch.rot90(features[:2], 1, (1, 2)), orientations=4)
    for name, distances in turned.items():
        assert (torch.rot90(distances, -1, (1, 2)) <= seen[name] + 1e-4).all()
    alike = torch.rot90(turned["memory1"], -1, (1, 2)) > seen["memory1"] - 1e-6
    assert alike.any()
    assert torch.rot90(turned_nearest, -1, (1, 2))[alike].equal(nearest[alike])


def test_a_file_keeps_the_center(features):
    normal = learned(features)
    normal.memory.center = torch.ones(features.shape[1:]).half()
    again = NormalPatches.from_tensors(normal.tensors())
    for name, distances in normal.distances(features[:2]).items():
        assert again.distances(features[:2])[name].equal(distances)


def test_what_is_not_wanted_is_not_there(features):
    assert learned(features, gaussian_rank=0).distances(features[:2]).keys() == {"memory0", "memory1"}
    assert learned(features, memory_size=0).left_out_distances(features).keys() == {"gaussian"}
    assert learned(features, memory_size=0, gaussian_rank=0).left_out_distances(features) == {}
