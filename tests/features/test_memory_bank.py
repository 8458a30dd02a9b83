"""What an expert remembers: it covers the normal patches of each layer, and knows them again."""

import pytest
import torch

from moleflow.features.memory_bank import SEARCHED, MemoryBank, memorize


@pytest.fixture
def features():
    return torch.randn(12, 4, 4, 10, generator=torch.Generator().manual_seed(0)).half()


def test_distances_are_to_the_nearest_patch_of_each_layer(features):
    kept = memorize(features, [6, 4], size=20, seed=0)
    assert [patches.shape for patches in kept.patches] == [(20, 6), (20, 4)]
    found = kept.distances(features[:2])
    for distance, part, patches in zip(found, features[:2].float().split([6, 4], -1), kept.patches, strict=True):
        direct = torch.cdist(part.flatten(1, 2), patches.float()).amin(2).reshape(2, 4, 4)
        torch.testing.assert_close(distance, direct, rtol=1e-2, atol=2e-2)


def test_a_memory_of_everything_knows_every_patch(features):
    kept = memorize(features[:4], [10], size=64, seed=0)
    assert kept.distances(features[:4])[0].max() < 0.05
    assert len(memorize(features[:4], [10], size=1000, seed=0).patches[0]) == 64


def test_it_covers_both_of_two_unequal_clusters():
    rare = torch.zeros(100, 1, 1, 4).half()
    rare[7] = 10.0
    assert memorize(rare, [4], size=2, seed=0).patches[0].amax(1).sort().values.tolist() == [0, 10]


def test_same_seed_same_patches_and_none_for_size_0(features):
    first, again, other = (memorize(features, [6, 4], size=5, seed=seed).patches for seed in (0, 0, 1))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    assert memorize(features, [6, 4], size=0, seed=0).patches == []
    assert MemoryBank([]).distances(features) == []


def test_a_product_of_many_images_is_searched_in_part(features):
    """Every image gives the same number of patches, and no more are held than the search needs."""
    many = features.repeat(10, 1, 1, 1)
    reads = []

    class Watched:
        shape = tuple(many.shape)
        device = many.device

        def __len__(self):
            return len(many)

        def __getitem__(self, rows):
            reads.append(rows)
            return many[rows]

    assert SEARCHED * 3 < 120
    assert memorize(Watched(), [10], size=3, seed=0).patches[0].shape == (3, 10)
    assert [(rows.start, rows.stop) for rows in reads] == [(0, 64), (64, 128)]


def test_an_image_is_judged_as_if_it_had_not_been_memorized(features):
    """By the patches of the other images alone: as a memory bank of them says."""
    kept = memorize(features, [6, 4], size=30, seed=0)
    assert all((images < 12).all() for images in kept.images)
    for patches, images, part in zip(kept.patches, kept.images, features.split([6, 4], -1), strict=True):
        assert all(
            (part[image].flatten(0, 1) == patch).all(1).any() for patch, image in zip(patches, images, strict=True)
        )
    own = [images == 3 for images in kept.images]
    found, nearest = kept.search(features[3:4], own)
    for distance, part, patches, mine in zip(
        found, features[3:4].float().split([6, 4], -1), kept.patches, own, strict=True
    ):
        direct = torch.cdist(part.flatten(1, 2), patches[~mine].float()).amin(2).reshape(1, 4, 4)
        torch.testing.assert_close(distance, direct, rtol=1e-2, atol=2e-2)
        assert mine.any()
    assert not own[-1][nearest].any()


def test_the_nearest_patch_of_the_deepest_layer_is_known(features):
    kept = memorize(features, [6, 4], size=30, seed=0)
    distances, nearest = kept.search(features[:2])
    found = kept.patches[1][nearest].float() - features[:2, ..., 6:].float()
    torch.testing.assert_close(found.norm(dim=-1), distances[1], rtol=1e-2, atol=2e-2)


def test_where_no_other_patch_is_left_an_image_meets_its_own(features):
    kept = memorize(features, [10], size=1, seed=0)
    own = [images == 0 for images in kept.images]
    found, _ = kept.search(features[:1], own)
    torch.testing.assert_close(found[0], kept.distances(features[:1])[0])
    alike = memorize(torch.ones(5, 2, 2, 4).half(), [4], size=3, seed=0)  # the first patch again and again
    distances, _ = alike.search(torch.ones(1, 2, 2, 4).half(), [images == 0 for images in alike.images])
    assert distances[0].isfinite().all()
