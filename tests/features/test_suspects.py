"""Suspects: images unlike all others are found, and take no part in anything."""

import pytest
import torch
from samples import WHOLE, prototype_of

from moleflow.features.suspects import find_suspects
from moleflow.files.feature_store import StoreError, open_split, write_split

ODD = ["004.png", "013.png"]


@pytest.fixture
def split(make_split):
    """Two of twenty images have a small patch that no other has."""
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(20, 6, 8, 8, generator=generator), torch.randn(20, 10, 4, 4, generator=generator)]
    maps[0][4, :, 5:7, 5:7] += 6
    maps[1][13, :, 1, 2] += 8
    return make_split(maps=maps)


def test_images_unlike_all_others_are_found(split):
    prototype = prototype_of(split, patching=WHOLE, standardize="whiten")
    assert find_suspects(prototype, split, 0.1) == ODD
    assert find_suspects(prototype, split, 0.0) == []
    assert len(find_suspects(prototype, split, 0.26)) == 5


def test_suspects_take_no_part_nor_do_their_copies(split, tmp_path):
    kept = [row for row in range(20) if f"{row:03d}.png" not in ODD]
    copies = [f"{image} turned by 1.5" for image in split.images]
    write_split(tmp_path / "s.zarr/rotated", split.origin, copies, [split.maps()])
    rotated = open_split(tmp_path / "s.zarr", "rotated")
    without = prototype_of(split, patching=WHOLE, standardize="whiten", suspects=ODD)
    assert without.images.shape[0] == 18
    for features in (without.standardized(split, rotated), without.scaled(split, rotated)):
        assert features.images == [split.images[row] for row in kept] + [copies[row] for row in kept]
        assert features.originals.tolist() == [*range(18), *range(18)]
        assert features[:].shape[0] == 36
    alone = prototype_of(split, patching=WHOLE, standardize="whiten")
    assert not torch.allclose(without.matrix, alone.matrix)
    assert without.suspects == ODD


def test_all_but_one_image_cannot_be_suspects(split):
    with pytest.raises(StoreError, match="has 1 training images besides suspects; 2 different ones are needed"):
        prototype_of(split, suspects=split.images[1:])
