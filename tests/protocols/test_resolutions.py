"""A view is proposed where the backbone sees much less of the images than there is, or more."""

import pytest

from moleflow.protocols.resolutions import coarser_view, finer_view


@pytest.mark.parametrize("sides", [{}, {"bolt": 300}, {"bolt": 300, "nut": 60}, {"bolt": 313}])
def test_nothing_is_proposed_where_the_view_suits(sides):
    assert finer_view(sides, 224) is coarser_view(sides, 224) is None


def test_large_images_ask_for_a_finer_view():
    said = finer_view({"bolt": 300, "nut": 896}, 224)
    for part in ("nut's 896 pixels", "2.5", "moleflow preset fine", "moleflow preset accurate"):
        assert part in said
    assert finer_view({"bolt": 314}, 224) is not None
    assert "preset fine" not in finer_view({"bolt": 300, "nut": 896}, 320)
    assert "tiles: 2" in finer_view({"bolt": 300, "nut": 896}, 448)
    assert finer_view({"bolt": 300, "nut": 896}, 2 * 448) is None


def test_small_images_ask_for_a_coarser_view():
    assert "no product has more than 100 pixels" in coarser_view({"bolt": 100, "nut": 50}, 224)
