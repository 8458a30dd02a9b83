"""What is kept of normal patches, and how training images are judged as if they had been left out."""

import numpy as np
import pytest
import torch
from samples import WHOLE, prototype_of

from moleflow.features.folds import fold_numbers
from moleflow.features.normal_patches import FOLDS, NormalPatches
from moleflow.features.position_gaussians import PositionGaussians, PositionMoments
from moleflow.features.relative_likelihood import RelativeLikelihood


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
    assert found.keys() == {"memory0", "memory1", "gaussian"}  # a likelihood relative to others is not a distance
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
        if name == "relative_gaussian":  # the least likelihood, beside that of another kind
            continue
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


def test_gaussians_are_read_beside_those_of_patches_alike_by_gaussians_of_other_images(features):
    """Gaussians that have seen an image, or a copy of it, find its patches likelier than those of a new one."""
    normal = learned(features, memory_center="none")
    assert normal.relative is not None
    originals, nll = features.originals, []
    folds = fold_numbers(12, FOLDS)[originals]
    for fold in range(FOLDS):
        others = PositionGaussians.of(PositionMoments.of(features[np.flatnonzero(folds != fold)]), 3)
        held = features[np.flatnonzero(folds == fold)]
        nll.append((others.nll(others.distances(held)), normal.search(held)[1]))
    expected = RelativeLikelihood.of(nll, 40, features.device)
    torch.testing.assert_close(normal.relative.mean, expected.mean, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(normal.relative.deviation, expected.deviation, rtol=1e-2, atol=1e-2)
    seen = normal.gaussians.nll(normal.gaussians.distances(features[:36]))
    assert seen.mean() < normal.relative.mean.mean() - 0.1
    judged, nearest = normal.search(features[:2])
    found = normal.relative(normal.gaussians.nll(judged["gaussian"]), nearest)
    torch.testing.assert_close(judged["relative_gaussian"], found)


def test_a_single_image_is_judged_by_itself(features):
    """As a fold of two normal images is learned from one."""
    alone = features.take(np.array([0]))
    normal = learned(alone, memory_size=4)
    for statistic in normal.distances(alone[:1]).values():
        assert statistic.isfinite().all()
    for statistic in normal.left_out_distances(alone).values():
        assert statistic.isfinite().all()


def test_what_is_not_wanted_is_not_there(features):
    assert learned(features, gaussian_rank=0).distances(features[:2]).keys() == {"memory0", "memory1"}
    assert learned(features, memory_size=0).distances(features[:2]).keys() == {"gaussian"}
    assert learned(features, memory_size=0).left_out_distances(features).keys() == {"gaussian"}
    assert learned(features, memory_size=0, gaussian_rank=0).left_out_distances(features) == {}
