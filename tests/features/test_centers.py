"""Centers: what a place shows whatever the image, and nothing where places only differ by chance."""

import pytest
import torch

from moleflow.features.centers import CENTERS, INDEPENDENT, position_means
from moleflow.features.memory_bank import memorize

SIDE = 12


def images(count: int, between: float) -> torch.Tensor:
    """Of three channels with variance 1 within a place; places differ with a variance in the first two."""
    generator = torch.Generator().manual_seed(0)
    places = torch.randn(SIDE, SIDE, 3, generator=generator) * torch.tensor([between**0.5, between**0.5, 0])
    return (5 + places + torch.randn(count, SIDE, SIDE, 3, generator=generator)).half()


@pytest.mark.parametrize("count", [4, 100])
def test_means_of_places_are_shrunk_as_far_as_chance_would_make_them_differ(count):
    features = images(count, between=2.0)
    found, means = position_means(features).float(), features.float().mean(0)
    offset = means - means.mean((0, 1))
    within = features.float().var(0, unbiased=False).mean((0, 1))
    for channel in (0, 1):
        kept = 1 - within[channel] / min(count, INDEPENDENT) / offset[..., channel].square().mean()
        assert 0.7 < kept < 0.97
        torch.testing.assert_close(found[..., channel], kept * offset[..., channel], rtol=1e-2, atol=1e-2)


def test_where_places_do_not_differ_nothing_is_taken_off():
    """However many images there are: they may be crops of one photograph."""
    assert position_means(images(200, between=0.0)).equal(torch.zeros(SIDE, SIDE, 3).half())
    assert position_means(images(200, between=0.1)).equal(torch.zeros(SIDE, SIDE, 3).half())
    alike = position_means(torch.full((3, 2, 2, 4), 7.0).half())
    assert alike.equal(torch.zeros_like(alike))
    assert CENTERS["none"](images(3, between=2.0)) is None


def test_what_always_lies_alike_is_normal_at_its_place_alone():
    """Without centers two parts that are swapped look normal."""
    places = torch.zeros(10, 2, 2, 4).half()
    places[:, 0, 0], places[:, 1, 1] = 10, -10
    places += torch.randn(places.shape, generator=torch.Generator().manual_seed(0)).half() / 10
    swapped = places[:1].flip(1, 2)
    for name, told in (("none", False), ("position", True)):
        kept = memorize(places, [4], size=40, center=CENTERS[name](places))
        assert bool(kept.distances(swapped)[0][0, 0, 0] > 5) is told
        assert kept.distances(places[:1])[0].max() < 1
