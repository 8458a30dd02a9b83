"""An object comes to the same view however it lay, its mask with it; what is no object stays as it is."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from moleflow.images.orienting import ELONGATION, ORIENTERS, View, oriented, principal_axis, turn_of, turned_back
from moleflow.images.reading import image_pixels, mask_pixels, rotated

SIDE = 128
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
CIRCLE = np.hypot(ROWS, COLUMNS) < SIDE / 2 - 4
ANGLES = [0, 20, 45, 90, 131, 180, 200, 270, 315]


def ellipse(degrees: float, *, along: float = 0.0, long: float = 50, short: float = 15, center=(0, 0)) -> np.ndarray:
    """Where an ellipse lies, (S, S) bool, its middle moved along its long axis, which lies so many degrees up from the
    rows; edges are hard."""
    angle = np.deg2rad(degrees)
    right, up = COLUMNS - center[0], -ROWS - center[1]
    on_axis = right * np.cos(angle) + up * np.sin(angle) - along
    beside = up * np.cos(angle) - right * np.sin(angle)
    return (on_axis / long) ** 2 + (beside / short) ** 2 < 1


def drawn(degrees: float, mark: int = 250, **where) -> np.ndarray:
    """A view, (3, S, S): an ellipse on gray with a brighter mark at one end, its left end at 0 degrees."""
    pixels = np.full((3, SIDE, SIDE), 60, np.uint8)
    pixels[:, ellipse(degrees, **where)] = 130
    pixels[:, ellipse(degrees, along=-30, long=9, short=9, **where)] = mark
    return pixels


def in_circle(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference in gray levels where no corner comes in."""
    return float(np.abs(one.astype(float) - other)[:, CIRCLE].mean())


@pytest.mark.parametrize("degrees", ANGLES)
def test_an_object_comes_to_the_same_view_however_it_lies(degrees):
    """Edges are hard, so that half a degree or a pixel of the small view is all that may be missing."""
    view = oriented(drawn(degrees), "principal_axis")
    assert in_circle(view, drawn(0)) < 3
    assert in_circle(rotated(view, 10.0), drawn(0)) > 6  # so little is no matter of course
    rows, columns = np.nonzero(view[0] > 200)
    assert np.hypot(rows.mean() - (SIDE - 1) / 2, columns.mean() - (SIDE - 1) / 2 + 30) < 2


@pytest.mark.parametrize("degrees", ANGLES)
def test_a_masks_view_and_what_is_turned_back_follow(tmp_path, degrees):
    """The mask is that of the mark."""
    mark = ellipse(degrees, along=-30, long=9, short=9)
    Image.fromarray(drawn(degrees).transpose(1, 2, 0)).save(tmp_path / "image.png")
    Image.fromarray(mark).save(tmp_path / "mask.png")
    turn = View("stretch", "principal_axis", SIDE).turn(tmp_path / "image.png", white=None)
    assert turn == principal_axis(drawn(degrees))
    view = mask_pixels(tmp_path / "mask.png", SIDE, "stretch", turn)
    assert overlap(view, oriented(drawn(degrees), "principal_axis")[0] > 190) > 0.9
    assert overlap(turned_back(view.astype(np.float32), turn) > 0.5, mark) > 0.9
    small = mask_pixels(tmp_path / "mask.png", SIDE // 4, "stretch", turn)  # masks have a side of their own
    assert overlap(small, view[2::4, 2::4]) > 0.7


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_a_pixel_of_a_mask_is_not_lost_by_turning(tmp_path):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[40, 50] = mask[80, 90] = True
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for degrees in (13.0, 45.0, 77.0):
        assert 2 <= mask_pixels(tmp_path / "mask.png", SIDE, "stretch", degrees).sum() <= 4


def test_what_a_turned_view_does_not_reach_is_the_least_that_a_map_says():
    values = np.ones((SIDE, SIDE), np.float32)
    values[SIDE // 2, SIDE // 2] = -2  # z-scores of normal patches lie below 0
    back = turned_back(values, 45.0)
    assert back[0, 0] == back[-1, 0] == -2
    assert back[SIDE // 4, SIDE // 2] == 1


@pytest.mark.parametrize("degrees", [-89, -30, 0, 45, 89])
def test_of_two_ends_alike_the_smaller_turn_is_taken(degrees):
    assert principal_axis(drawn(degrees, mark=130)) == pytest.approx(-degrees, abs=1)


@pytest.mark.parametrize("degrees", ANGLES)
def test_the_outline_tells_the_ends_whatever_the_light(degrees):
    """A bar with a head to the left, once bright there and once at the other end."""
    bar, head = ellipse(degrees, along=6, long=42, short=9), ellipse(degrees, along=-32, long=8, short=18)
    for bright in (head, ellipse(degrees, along=30, long=10, short=10) & bar):
        pixels = np.full((3, SIDE, SIDE), 60, np.uint8)
        pixels[:, bar | head] = 130
        pixels[:, bright] = 250
        seen = rotated((255 * (bar | head)).astype(np.uint8), principal_axis(pixels))
        assert (seen[:, : SIDE // 3] > 127).any(1).sum() > 18 + 10  # rows of the head


def test_light_noise_and_place_turn_an_object_by_little():
    turn = principal_axis(drawn(30))
    assert turn == pytest.approx(-30, abs=1)
    noisy = drawn(30) + np.random.default_rng(0).normal(0, 4, (3, SIDE, SIDE))
    darker = np.clip(0.7 * noisy, 0, 255).astype(np.uint8)
    assert principal_axis(darker) == pytest.approx(turn, abs=1)
    assert principal_axis(255 - drawn(30)) == pytest.approx(turn, abs=1)  # dark on bright
    assert principal_axis(drawn(30, center=(8, -6))) == pytest.approx(turn, abs=1)


def no_objects() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).normal(120, 20, (SIDE, SIDE))
    stripes = 120 + 60 * np.sin((ROWS + COLUMNS) / 3)
    speck = np.where(ellipse(30, long=6, short=3), 250, noise / 20)
    into_the_corner = np.where(ellipse(45, long=300, short=40), 200, 60)
    gray = {
        "nothing": np.full((SIDE, SIDE), 90),
        "noise": noise,
        "stripes": stripes,
        "light from one side": 120 + COLUMNS / 2 + noise / 20,
        "a disk": np.where(ellipse(0, long=40, short=40), 200, 60),
        "almost a disk": np.where(ellipse(30, long=40, short=0.95 * 40 / ELONGATION + 2), 200, 60),
        "a speck of dirt": speck,
        "a product that leaves the view": into_the_corner,
    }
    views = {name: values.clip(0, 255).astype(np.uint8)[None].repeat(3, 0) for name, values in gray.items()}
    for name in ("brick", "grass", "gravel"):
        views[name] = getattr(data, name)()[:SIDE, :SIDE][None].repeat(3, 0)
    return views


@pytest.mark.parametrize("name", no_objects())
def test_what_is_no_object_stays_as_it_is(name):
    view = no_objects()[name]
    assert principal_axis(view) == 0
    assert oriented(view, "principal_axis") is view


def test_none_turns_and_reads_nothing():
    pixels = drawn(30)
    assert oriented(pixels, "none") is pixels
    assert View("stretch").turn("no such file", white=None) == 0
    values = np.ones((2, 2), np.float32)
    assert turned_back(values, 0.0) is values


@pytest.mark.parametrize("orient", ORIENTERS)
def test_a_turn_depends_on_the_view_alone(orient, tmp_path):
    pixels = drawn(50)
    before = pixels.copy()
    assert turn_of(pixels, orient) == turn_of(pixels.copy(), orient)
    np.testing.assert_array_equal(pixels, before)
    Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "a.png")
    assert turn_of(image_pixels(tmp_path / "a.png", SIDE, "crop", white=None), orient) == turn_of(pixels, orient)
