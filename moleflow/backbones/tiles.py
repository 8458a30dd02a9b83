"""Images seen in parts: tiles that overlap, whose maps are put together to those of the whole image."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Maps = list[Float[Tensor, "B C H W"]]


def tiled_side(size: int, tiles: int, cut: int) -> int:
    """Side of the image that tiles make up.

    Args:
        size: S, side of a tile in pixels.
        tiles: n, tiles along a side.
        cut: pixels that a tile loses at each border inside the image; tiles overlap by twice as many.

    Returns:
        n·S − 2·(n − 1)·cut, in pixels.
    """
    return tiles * size - 2 * (tiles - 1) * cut


def seen_in_tiles(
    see: Callable[[Tensor], Maps], images: Float[Tensor, "B 3 V V"], *, size: int, tiles: int, cut: int
) -> Maps:
    """Maps of images, computed tile by tile.

    A map knows nothing beyond the border of what was seen. So a tile sees further than the part of the map that it
    gives, except where the image itself ends.

    Args:
        see: gives the maps of tiles, (B, C_l, S/s_l, S/s_l) each, s_l being the layer's stride.
        images: V is what `tiled_side` says, (B, 3, V, V).
        size: S, a multiple of every stride.
        tiles: n, tiles along a side.
        cut: as for `tiled_side`; a multiple of every stride.

    Returns:
        Maps of the images, (B, C_l, V/s_l, V/s_l) each.
    """
    step = size - 2 * cut
    rows: list[Maps] = []
    for row in range(tiles):
        parts: list[Maps] = []
        for column in range(tiles):
            window = images[:, :, row * step : row * step + size, column * step : column * step + size]
            parts.append([_kept(layer, size, cut, (row, column), tiles) for layer in see(window)])
        rows.append([torch.cat(layer, dim=3) for layer in zip(*parts, strict=True)])
    return [torch.cat(layer, dim=2) for layer in zip(*rows, strict=True)]


def _kept(layer: Tensor, size: int, cut: int, place: tuple[int, int], tiles: int) -> Tensor:
    """The part of a tile's map that the image's map takes over."""
    side = layer.shape[-1]
    lost = cut * side // size
    top, left = (lost if number else 0 for number in place)
    bottom, right = (side - lost if number + 1 < tiles else side for number in place)
    return layer[:, :, top:bottom, left:right]
