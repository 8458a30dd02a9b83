"""Harmless changes: seeded, small, of the whole image."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from moleflow.config.registry import ChoiceError
from moleflow.probe.perturbations import PERTURBATIONS, perturb


@pytest.fixture
def image():
    """Smooth structure, as photographs have it."""
    smooth = gaussian_filter(np.random.default_rng(0).normal(size=(3, 224, 224)), (0, 2, 2))
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_every_kind_changes_the_image_a_little_and_always_alike(image, kind):
    for number in range(5):
        perturbed = perturb(image, kind, number)
        assert perturbed.shape == image.shape
        assert perturbed.dtype == np.uint8
        assert (perturbed != image).any()
        assert abs(perturbed.mean() - image.mean()) < 10
        assert perturbed.std() == pytest.approx(image.std(), rel=0.15)
        np.testing.assert_array_equal(perturbed, perturb(image, kind, number))
    assert (perturb(image, kind, 0) != perturb(image, kind, 1)).any()


def test_placement_moves_and_turns_about_the_middle():
    """One spot in the middle, one 40 pixels above it."""
    gray = np.full((3, 101, 101), 50, np.uint8)
    gray[:, 48:53, 48:53] = 200
    gray[:, 8:13, 48:53] = 120
    moves, turns = [], []
    for number in range(40):
        perturbed = perturb(gray, "placement", number)[0]
        middle, above = np.argwhere(perturbed > 160).mean(0), np.argwhere(perturbed[:30] > 85).mean(0)
        moves.append(middle - 50)
        turns.append(np.rad2deg((above - middle)[1] / 40))
    assert 1 < np.abs(moves).max(0).min() <= np.abs(moves).max() <= 2.5
    assert 1 < np.abs(turns).max() <= 2.8
    assert min(turns) < -0.5 < 0.5 < max(turns)


def test_placement_mirrors_the_border():
    """Stripes go on beyond the border; continued by the last pixel they would stop."""
    stripes = np.tile((np.arange(101) // 2 % 2 * 200).astype(np.uint8), (3, 101, 1))
    perturbed = [perturb(stripes, "placement", number)[0].astype(int) for number in range(20)]
    flat = [
        np.abs(np.diff(each[:, side], axis=1)).max(1).min() for each in perturbed for side in (np.s_[:4], np.s_[-4:])
    ]
    assert min(flat) > 20


def test_unknown_kind_lists_the_choices(image):
    with pytest.raises(ChoiceError, match="probe_perturbations: 'fog' is unknown; choose one of exposure, noise"):
        perturb(image, "fog", 0)
