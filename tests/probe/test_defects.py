"""Synthetic defects: seeded, of several sizes, visible inside their masks and nowhere else."""

import numpy as np
import pytest

from moleflow.config.registry import ChoiceError
from moleflow.probe.defects import DEFECTS, SIZES, paint


@pytest.fixture
def image():
    """Stripes with noise: structure that can be erased, faded and blurred."""
    rows = np.mgrid[:96, :96][0]
    pixels = 128 + 60 * np.sin(rows / 3) + np.random.default_rng(0).normal(0, 8, (3, 96, 96))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", DEFECTS)
def test_every_kind_changes_the_image_inside_its_mask_only(image, kind):
    for number in range(6):
        painted, mask = paint(image, kind, number)
        assert painted.shape == image.shape
        assert painted.dtype == np.uint8
        assert 0 < mask.mean() < 0.3
        change = np.abs(painted.astype(int) - image).max(0)
        assert change[mask].mean() > 5
        rows, columns = np.nonzero(mask)
        far = np.ones_like(mask)
        far[max(0, rows.min() - 5) : rows.max() + 6, max(0, columns.min() - 5) : columns.max() + 6] = False
        assert not change[far].any()


@pytest.mark.parametrize("kind", DEFECTS)
def test_same_number_same_defect_and_numbers_go_through_the_sizes(image, kind):
    (one, mask), (again, _), (_, other) = paint(image, kind, 4), paint(image, kind, 4), paint(image, kind, 7)
    np.testing.assert_array_equal(one, again)
    assert (mask != other).any()
    areas = [paint(image, kind, number)[1].sum() for number in range(len(SIZES))]
    assert areas == sorted(areas)


@pytest.mark.parametrize("kind", ["fade", "blur", "erase"])
def test_quiet_kinds_leave_less_structure(image, kind):
    painted, mask = paint(image, kind, 2)
    detail = [np.abs(np.diff(each.astype(float), axis=2))[:, mask[:, 1:]].mean() for each in (painted, image)]
    assert detail[0] < 0.8 * detail[1]


@pytest.mark.parametrize("kind", ["fade", "blur", "erase"])
def test_what_has_no_structure_stays_to_the_last_gray_level(kind):
    even = np.full((3, 96, 96), 100, dtype=np.uint8)
    for number in range(6):
        np.testing.assert_array_equal(paint(even, kind, number)[0], even)


def test_darken_darkens(image):
    painted, mask = paint(image, "darken", 2)
    assert painted[:, mask].mean() < 0.75 * image[:, mask].mean()


@pytest.mark.parametrize("size", [16, 32, 64])
def test_small_images_are_painted_too(size):
    image = np.random.default_rng(0).integers(0, 255, (3, size, size), dtype=np.uint8)
    for kind in DEFECTS:
        assert all(paint(image, kind, number)[1].any() for number in range(9))


@pytest.mark.parametrize("kind", DEFECTS)
def test_defects_lie_on_the_product(kind):
    """A textured disc on an even ground."""
    rows, columns = np.mgrid[:96, :96] - 48
    disc = rows**2 + columns**2 < 20**2
    image = np.where(disc, np.random.default_rng(0).integers(0, 255, (3, 96, 96)), 40).astype(np.uint8)
    hit = [(paint(image, kind, number)[1] & disc).any() for number in range(30)]
    assert np.mean(hit) > 0.8


def test_unknown_kind_lists_the_choices(image):
    with pytest.raises(ChoiceError, match="probe_defects: 'dent' is unknown; choose one of cut_paste, scar"):
        paint(image, "dent", 0)
