"""Images seen in tiles: the maps are those of the whole image wherever a tile sees far enough."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from moleflow.backbones.backbone import Backbone, BackboneError, check_backbone
from moleflow.backbones.tiles import seen_in_tiles, tiled_side

CPU = torch.device("cpu")
LITE0 = "tf_efficientnet_lite0.in1k"


def see(images: Tensor) -> list[Tensor]:
    """Maps of strides 4 and 8 whose positions look 4 pixels beyond themselves at most."""
    blurred = F.avg_pool2d(images, 9, stride=1, padding=4, count_include_pad=False)
    return [F.avg_pool2d(blurred, stride) for stride in (4, 8)]


@pytest.mark.parametrize("tiles", [1, 2, 3])
def test_tiles_give_the_maps_of_the_whole_image(tiles: int) -> None:
    side = tiled_side(32, tiles, 8)
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    found = seen_in_tiles(see, images, size=32, tiles=tiles, cut=8)
    for layer, whole in zip(found, see(images), strict=True):
        assert layer.shape == whole.shape
        torch.testing.assert_close(layer, whole)


def test_a_tile_without_overlap_would_show_its_border() -> None:
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(seen_in_tiles(see, images, size=32, tiles=2, cut=0)[0], see(images)[0])


def test_one_tile_is_the_backbone_as_it_is() -> None:
    images = (255 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))).byte()
    plain = Backbone(LITE0, [1, 3], "package", img_size=64, device=CPU)
    tiled = Backbone(LITE0, [1, 3], "package", img_size=64, tiles=2, device=CPU)
    assert (plain.side, tiled.side) == (64, 96)
    doubled = tiled(torch.cat([images, images], dim=3).repeat(1, 1, 2, 1)[:, :, :96, :96])
    assert [layer.shape[-1] for layer in doubled] == [24, 6]
    # The first tile's own corner is what the backbone says of that tile alone.
    for layer, alone in zip(doubled, plain(images), strict=True):
        kept = layer.shape[-1] // 2
        torch.testing.assert_close(layer[:, :, :kept, :kept], alone[:, :, :kept, :kept])


def test_a_check_knows_the_maps_of_tiles() -> None:
    assert [layer.shape[-1] for layer in check_backbone(LITE0, [1, 3], "package", 64, 2)] == [24, 6]


@pytest.mark.parametrize("size", [72, 48])
def test_a_tile_must_hold_whole_positions_of_every_layer(size: int) -> None:
    with pytest.raises(BackboneError, match="img_size must be"):
        check_backbone(LITE0, [1, 3], "package", size, 2)
