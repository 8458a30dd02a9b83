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


def test_a_memory_bank_takes_off_what_the_other_images_show_at_a_place(features):
    """Of an image that is left out too: its residuals are those of a mean that it has no part in."""
    normal = learned(features, gaussian_rank=0)
    every = features[:].float()
    torch.testing.assert_close(normal.memory.center.float(), every.mean(0), rtol=1e-2, atol=1e-2)
    others = every[[row for row in range(len(every)) if row != 7]]
    torch.testing.assert_close(normal.memory.center_without(every[7], len(every)), others.mean(0), rtol=1e-2, atol=1e-2)
    own = [torch.from_numpy(features.originals)[kept] == 7 for kept in normal.memory.images]
    expected, _ = normal.memory.search(every[7:8], own, others.mean(0))
    found = normal.left_out_distances(features)
    for layer, distances in enumerate(expected):
        torch.testing.assert_close(found[f"memory{layer}"][7:8], distances, rtol=5e-3, atol=5e-3)


def test_a_part_that_always_lies_alike_is_no_nearer_to_itself_elsewhere():
    """With centers a patch that is normal at one place is far from normal at another, without it is not."""
    places = torch.zeros(6, 2, 2, 4).half()
    places[:, 0, 0], places[:, 1, 1] = 10, -10
    places += torch.randn(places.shape, generator=torch.Generator().manual_seed(0)).half() / 10
    swapped = places[:1].flip(1, 2)
    for center, told in (("none", False), ("position", True)):
        kept = NormalPatches.of(places, [4], memory_size=24, memory_center=center, gaussian_rank=0)
        assert bool(kept.distances(swapped)["memory0"][0, 0, 0] > 5) is told


def test_a_turned_image_is_compared_at_the_places_that_it_comes_to(features):
    normal = learned(features)
    seen, nearest = normal.search(features[:2])
    turned, turned_nearest = normal.search(torch.rot90(features[:2], 1, (1, 2)), orientations=4)
    for name, distances in turned.items():
        assert (torch.rot90(distances, -1, (1, 2)) <= seen[name] + 1e-4).all()
    alike = torch.rot90(turned["memory1"], -1, (1, 2)) > seen["memory1"] - 1e-6
    assert alike.any()
    assert torch.rot90(turned_nearest, -1, (1, 2))[alike].equal(nearest[alike])


def test_a_file_keeps_the_center(features):
    normal = learned(features)
    again = NormalPatches.from_tensors(normal.tensors())
    for name, distances in normal.distances(features[:2]).items():
        assert again.distances(features[:2])[name].equal(distances)


def test_what_is_not_wanted_is_not_there(features):
    assert learned(features, gaussian_rank=0).distances(features[:2]).keys() == {"memory0", "memory1"}
    assert learned(features, memory_size=0).left_out_distances(features).keys() == {"gaussian"}
    assert learned(features, memory_size=0, gaussian_rank=0).left_out_distances(features) == {}
