"""What an expert remembers: it covers the normal patches of each layer, and knows them again."""

import pytest
import torch

from moleflow.features.memory_bank import SEARCHED, MemoryBank, memorize


@pytest.fixture
def features():
    return torch.randn(12, 4, 4, 10, generator=torch.Generator().manual_seed(0)).half()


def test_distances_are_to_the_nearest_patch_of_each_layer(features):
    kept = memorize(features, [6, 4], size=20)
    assert [patches.shape for patches in kept.patches] == [(20, 6), (20, 4)]
    found = kept.distances(features[:2])
    for distance, part, patches in zip(found, features[:2].float().split([6, 4], -1), kept.patches, strict=True):
        direct = torch.cdist(part.flatten(1, 2), patches.float()).amin(2).reshape(2, 4, 4)
        torch.testing.assert_close(distance, direct, rtol=1e-2, atol=2e-2)


def test_a_memory_of_everything_knows_every_patch(features):
    kept = memorize(features[:4], [10], size=64)
    assert kept.distances(features[:4])[0].max() < 0.05
    assert len(memorize(features[:4], [10], size=1000).patches[0]) == 64


def test_it_covers_both_of_two_unequal_clusters():
    rare = torch.zeros(100, 1, 1, 4).half()
    rare[7] = 10.0
    assert memorize(rare, [4], size=2).patches[0].amax(1).sort().values.tolist() == [0, 10]


def test_the_same_patches_again_and_none_for_size_0(features):
    wide = features.repeat(1, 1, 1, 10)  # as many channels as are projected
    banks = [memorize(wide, [6, 94], size=5).patches for _ in map(torch.manual_seed, (0, 1))]
    assert all(map(torch.equal, *banks))
    assert memorize(features, [6, 4], size=0).patches == []
    assert MemoryBank([]).distances(features) == []


def test_many_images_are_searched_in_parts_that_leave_no_patch_out(features):
    """What is rare is found wherever it lies, and no more is held than a part."""
    many = 0.1 * features.repeat(10, 1, 1, 1)
    rare = [(7, 0, 3), (64, 2, 2), (119, 3, 3)]
    for number, place in enumerate(rare):
        many[place] = 10.0 * (number + 1)
    reads = []

    class Watched:
        shape = tuple(many.shape)
        device = many.device

        def __len__(self):
            return len(many)

        def __getitem__(self, rows):
            reads.append((rows.start, rows.stop))
            return many[rows]

    bank = memorize(Watched(), [10], size=5)
    (kept,), (images,) = bank.patches, bank.images
    assert kept.shape == (5, 10)
    assert {10.0, 20.0, 30.0} <= set(kept.amax(1).tolist())
    assert {7, 64, 119} <= set(images.tolist())
    assert reads == [(start, start + 3) for start in range(0, 120, 3)]  # each once, SEARCHED·5 patches or fewer
    assert SEARCHED * 5 >= 3 * 16


def test_an_image_is_judged_as_if_it_had_not_been_memorized(features):
    """By the patches of the other images alone: as a memory bank of them says."""
    kept = memorize(features, [6, 4], size=30)
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
    kept = memorize(features, [6, 4], size=30)
    distances, nearest = kept.search(features[:2])
    found = kept.patches[1][nearest].float() - features[:2, ..., 6:].float()
    torch.testing.assert_close(found.norm(dim=-1), distances[1], rtol=1e-2, atol=2e-2)


def test_where_no_other_patch_is_left_an_image_meets_its_own(features):
    kept = memorize(features, [10], size=1)
    own = [images == 0 for images in kept.images]
    found, _ = kept.search(features[:1], own)
    torch.testing.assert_close(found[0], kept.distances(features[:1])[0])
    alike = memorize(torch.ones(5, 2, 2, 4).half(), [4], size=3)  # the first patch again and again
    distances, _ = alike.search(torch.ones(1, 2, 2, 4).half(), [images == 0 for images in alike.images])
    assert distances[0].isfinite().all()
