"""Harmless changes: seeded, small, of the whole image; and the names of the probe's images."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from moleflow.choices import ChoiceError
from moleflow.nuisances import NUISANCES, vary
from moleflow.probe_names import kinds_of, probe_names, sources_of


@pytest.fixture
def image():
    """Smooth structure, as photographs have it."""
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(3, 224, 224)), (0, 2, 2))
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", NUISANCES)
def test_every_kind_changes_the_image_a_little_and_always_alike(image, kind):
    for number in range(5):
        varied = vary(image, kind, number)
        assert varied.shape == image.shape
        assert varied.dtype == np.uint8
        assert (varied != image).any()
        assert abs(varied.mean() - image.mean()) < 10
        assert varied.std() == pytest.approx(image.std(), rel=0.15)
        np.testing.assert_array_equal(varied, vary(image, kind, number))
    assert (vary(image, kind, 0) != vary(image, kind, 1)).any()


def test_placement_moves_and_turns_about_the_middle():
    """One spot in the middle, one 40 pixels above it."""
    grey = np.full((3, 101, 101), 50, np.uint8)
    grey[:, 48:53, 48:53] = 200
    grey[:, 8:13, 48:53] = 120
    moves, turns = [], []
    for number in range(40):
        varied = vary(grey, "placement", number)[0]
        middle, above = np.argwhere(varied > 160).mean(0), np.argwhere(varied[:30] > 85).mean(0)
        moves.append(middle - 50)
        turns.append(np.rad2deg((above - middle)[1] / 40))
    assert 1 < np.abs(moves).max(0).min() <= np.abs(moves).max() <= 2.5
    assert 1 < np.abs(turns).max() <= 2.8
    assert min(turns) < -0.5 < 0.5 < max(turns)


def test_placement_mirrors_the_border():
    """Stripes go on beyond the border; continued by the last pixel they would stop."""
    stripes = np.tile((np.arange(101) // 2 % 2 * 200).astype(np.uint8), (3, 101, 1))
    varied = [vary(stripes, "placement", number)[0].astype(int) for number in range(20)]
    flat = [np.abs(np.diff(each[:, side], axis=1)).max(1).min() for each in varied for side in (np.s_[:4], np.s_[-4:])]
    assert min(flat) > 20


def test_unknown_kind_lists_the_choices(image):
    with pytest.raises(ChoiceError, match="probe_nuisances: 'fog' is unknown; choose one of exposure, noise"):
        vary(image, "fog", 0)


def test_images_of_the_probe_are_dealt_over_all_held_out_ones():
    names = probe_names(["blur", "scar"], 3, 5)
    assert names == ["blur/0", "blur/1", "blur/2", "scar/3", "scar/4", "scar/0"]
    np.testing.assert_array_equal(kinds_of(names), ["blur"] * 3 + ["scar"] * 3)
    np.testing.assert_array_equal(sources_of(names), [0, 1, 2, 3, 4, 0])
    assert sources_of([]).shape == kinds_of(probe_names([], 3, 5)).shape == (0,)
