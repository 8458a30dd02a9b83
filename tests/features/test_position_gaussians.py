"""A Gaussian per position: distances by its covariance, of low rank, and moments that can be taken apart."""

import pytest
import torch

from moleflow.features.position_gaussians import RIDGE, PositionGaussians, PositionMoments, announce_covariances


@pytest.fixture
def features():
    """Whose positions differ in mean and in covariance."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(3, 2, 6, 6, generator=generator)
    noise = torch.randn(40, 3, 2, 1, 6, generator=generator)
    return (noise @ mix)[..., 0, :] + torch.arange(6.0).reshape(3, 2, 1)


def covariances(features):
    return torch.stack([torch.cov(features[:, row, column].T) for row in range(3) for column in range(2)])


def test_moments_are_those_of_every_position(features):
    moments = PositionMoments.of(features)
    torch.testing.assert_close(moments.mean, features.mean(0))
    found = torch.cat([moments.covariance(row) for row in range(3)])
    torch.testing.assert_close(found, covariances(features), rtol=1e-3, atol=1e-3)


def test_moments_of_some_images_can_be_taken_off(features):
    rest = PositionMoments.of(features).without(PositionMoments.of(features[:15]))
    expected = PositionMoments.of(features[15:])
    assert rest.count == 25
    torch.testing.assert_close(rest.covariance(1), expected.covariance(1), rtol=1e-3, atol=1e-3)


def test_two_tables_are_announced_where_images_are_taken_off(capsys):
    announce_covariances("it", (4, 4, 8), 2 * 4 * 4 * 4 * 8**2 / 2**30, tables=2)
    assert not capsys.readouterr().err
    announce_covariances("it", (4, 4, 8), 0.99 * 2 * 4 * 4 * 4 * 8**2 / 2**30, tables=2)
    assert "two covariances of 8×8 for each of 4×4 patches" in capsys.readouterr().err


def test_of_full_rank_it_is_the_mahalanobis_distance(features):
    """But for the smallest variance, which stands for itself."""
    found = PositionGaussians.of(PositionMoments.of(features), 5).distances(features)
    inverse = (covariances(features) + RIDGE * torch.eye(6)).inverse().reshape(3, 2, 6, 6)
    offset = features - features.mean(0)
    expected = torch.einsum("nhwc,hwcd,nhwd->nhw", offset, inverse, offset).sqrt()
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("rank", [2, 5])
def test_the_likelihood_is_that_of_the_gaussian_of_each_position(features, rank):
    gaussians = PositionGaussians.of(PositionMoments.of(features), rank)
    found = gaussians.nll(gaussians.distances(features))
    wide = []
    for covariance in covariances(features):
        variances, directions = torch.linalg.eigh(covariance)
        variances[: 6 - rank] = variances[: 6 - rank].mean()
        wide.append(directions @ (variances + RIDGE).diag() @ directions.T)
    of_each = torch.distributions.MultivariateNormal(features.mean(0).flatten(0, 1), torch.stack(wide))
    expected = -of_each.log_prob(features.flatten(1, 2)).reshape(found.shape)
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=5e-2)


def test_of_low_rank_it_still_knows_the_widest_directions(features):
    """Far along the widest direction of a position is near; as far across it is not."""
    gaussians = PositionGaussians.of(PositionMoments.of(features), 2)
    variances, directions = torch.linalg.eigh(covariances(features)[3])
    along, across = (features.mean(0)[None].clone() for _ in range(2))
    along[0, 1, 1] += 5 * directions[:, -1]
    across[0, 1, 1] += 5 * directions[:, 0]
    one, other = (gaussians.distances(image)[0, 1, 1] for image in (along, across))
    assert variances[-1] > 4 * variances[0]
    assert one < other
    assert gaussians.directions.shape == (3, 2, 6, 2)


def test_images_without_any_variation_give_finite_distances():
    alike = torch.ones(4, 2, 2, 6)
    found = PositionGaussians.of(PositionMoments.of(alike), 3).distances(torch.stack([alike[0], alike[0] + 1]))
    torch.testing.assert_close(found[1], torch.full((2, 2), (6 / RIDGE) ** 0.5), rtol=1e-2, atol=1e-2)
    assert found[0].max() < 1e-2


def test_a_single_channel_has_its_own_variance():
    features = 3 * torch.randn(200, 2, 2, 1, generator=torch.Generator().manual_seed(0))
    found = PositionGaussians.of(PositionMoments.of(features), 10).distances(features)
    expected = (features - features.mean(0)).abs() / (features.var(0) + RIDGE).sqrt()
    torch.testing.assert_close(found, expected[..., 0], rtol=1e-2, atol=1e-2)
