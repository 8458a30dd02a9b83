"""Baselines: every one finds what is unlike its training patches; each is what its paper says."""

import numpy as np
import pytest
import torch

from moleflow.baselines import BASELINES, KNN, PCA, PaDiM
from moleflow.config.registry import call

SETTINGS = {"coreset_size": 50, "feature_memory": 1.0}


@pytest.fixture
def features():
    """Patches that lie near a plane of a 6-dimensional space."""
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(2, 6, generator=generator)
    coordinates = torch.randn(30, 4, 4, 2, generator=generator)
    return (coordinates @ plane + 0.05 * torch.randn(30, 4, 4, 6, generator=generator)).half()


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_finds_the_odd_patch(features, name):
    fitted = call(BASELINES[name], SETTINGS, features[:20])
    judged = features[20:].clone()
    judged[3, 1, 2] += 3.0
    distances = fitted.distances(judged)
    assert distances.shape == (10, 4, 4)
    assert distances.isfinite().all()
    assert np.unravel_index(int(distances.argmax()), (10, 4, 4)) == (3, 1, 2)


@pytest.mark.parametrize("name", BASELINES)
def test_same_distances_again_and_order_of_images_changes_nothing(features, name):
    first, again = (call(BASELINES[name], SETTINGS, features[:20]).distances(features[20:]) for _ in range(2))
    assert first.equal(again)
    reversed_ = call(BASELINES[name], SETTINGS, features[:20]).distances(features[20:].flip(0)).flip(0)
    torch.testing.assert_close(reversed_, first, rtol=1e-4, atol=1e-4)


def test_knn_with_every_patch_in_memory_knows_its_training_images(features):
    fitted = KNN(features[:4], coreset_size=64)
    (kept,) = fitted.memory_bank.patches
    assert kept.shape == (64, 6)
    assert fitted.distances(features[:4]).max() < 0.05
    direct = torch.cdist(features[4:6].float().reshape(2, 16, 6), kept.float()).amin(2).reshape(2, 4, 4)
    torch.testing.assert_close(fitted.distances(features[4:6]), direct, rtol=1e-2, atol=1e-2)


def test_knn_coreset_covers_both_of_two_unequal_clusters():
    rare = torch.zeros(100, 1, 1, 4)
    rare[7] = 10.0
    assert KNN(rare.half(), coreset_size=2).memory_bank.patches[0].amax() == 10


def test_padim_is_the_mahalanobis_distance_of_a_position(features):
    fitted = PaDiM(features[:20], feature_memory=1.0)
    position = features[:20, 2, 1].double().numpy()
    covariance = np.cov(position.T) + 0.01 * np.eye(6)
    offset = features[25, 2, 1].double().numpy() - position.mean(0)
    expected = np.sqrt(offset @ np.linalg.inv(covariance) @ offset)
    assert fitted.distances(features[25:26])[0, 2, 1].item() == pytest.approx(expected, rel=1e-2)


def test_pca_keeps_the_plane_and_measures_the_rest(features):
    fitted = PCA(features[:20])
    assert fitted.residual.shape == (6, 4)
    inside = fitted.distances(features[20:])
    assert inside.max() < 0.5


def test_pca_of_a_flat_spectrum_still_has_a_residual():
    white = torch.randn(50, 4, 4, 3, generator=torch.Generator().manual_seed(0)).half()
    assert PCA(white).residual.shape[1] >= 1


@pytest.mark.parametrize("count", [1, 20, 200])
def test_padim_and_pca_read_part_by_part_what_they_learn_from(features, count, capsys):
    """A memory of a single image gives what one of all images gives, and of its own table PaDiM warns first."""
    many = features[:20].repeat(10, 1, 1, 1)[:count] + 0.01 * torch.randn(count, 4, 4, 6).half()
    image, table = 2 * 4 * 4 * 6 / 2**30, 4 * 4 * 4 * 6 * 6 / 2**30
    whole, parts = (PaDiM(many, feature_memory=memory) for memory in (1.0, image))
    torch.testing.assert_close(parts.distances(features[20:]), whole.distances(features[20:]), rtol=1e-3, atol=1e-3)
    assert (
        "padim holds 2.1e-06 GiB for a product, a covariance of 6×6 for each of 4×4 patches" in capsys.readouterr().err
    )
    PaDiM(many, feature_memory=table)
    assert capsys.readouterr().err == ""
    patches = many.flatten(0, 2).double()
    residual = PCA(many).residual.double()
    explained = (patches - patches.mean(0)).square().sum() - ((patches - patches.mean(0)) @ residual).square().sum()
    assert explained >= 0.95 * (patches - patches.mean(0)).square().sum()
