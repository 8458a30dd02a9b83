import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from moleflow.choices import ChoiceError
from moleflow.expert_statistics import patch_statistics
from moleflow.memory import Memory
from moleflow.scorer import Scorer
from moleflow.scoring import (
    AGGREGATIONS,
    SCORES,
    Aggregation,
    anomaly_maps,
    comparable_scores,
    fuse,
    patch_scores,
    scores_among_others,
    statistics_of,
    surprise,
)

TOP3 = Aggregation("top_k", top_k=3, top_percent=10.0, percentile=90.0)


def statistics(count, seed, shift=None):
    rng = np.random.default_rng(seed)
    made = {name: rng.normal(size=(count, 4, 4)) for name in ("nll", "latent", "log_det", "memory0", "memory1")}
    return {name: values + (shift or {}).get(name, 0) for name, values in made.items()}


def scorer(parts, calibration):
    return Scorer.of(parts, TOP3, calibration | {"fold": np.zeros(len(calibration["nll"]), int)}, {})


def image_scores(parts, calibration, judged):
    """As a scorer of these calibration images gives them."""
    return scorer(parts, calibration)({name: values[None] for name, values in judged.items()}).image_score


def named(name):
    return Aggregation(name, 3, 10.0, 90.0)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_every_aggregation_ranks_a_defect_first_and_ignores_where_it_lies(name):
    scores = np.random.default_rng(0).normal(size=(5, 6, 6))
    scores[3, 1:5, 1:5] += 5
    aggregated = named(name)(scores)
    assert aggregated.shape == (5,)
    assert aggregated.argmax() == 3
    np.testing.assert_allclose(named(name)(scores[:, ::-1, ::-1]), aggregated)
    np.testing.assert_allclose(named(name)(scores + 7), aggregated + 7)  # negative likelihoods are no special case


def test_aggregations_by_hand():
    scores = np.arange(100.0).reshape(1, 10, 10)
    values = {name: named(name)(scores)[0] for name in AGGREGATIONS if name != "spatial_cluster"}
    assert values == pytest.approx({"top_k": 98, "top_k_percent": 94.5, "percentile": 89.1, "max": 99, "mean": 49.5})


def test_spatial_cluster_prefers_a_block_to_scattered_patches():
    block, scattered = np.zeros((2, 9, 9))
    block[3:6, 3:6] = 1
    scattered[::3, ::3] = 1
    low, high = named("spatial_cluster")(np.stack([scattered, block]))
    assert high > low


def test_single_scores_are_the_statistics_themselves():
    for name in ("nll", "latent", "log_det"):
        judged = statistics(3, 1)
        normal = statistics(9, 0)[name]
        standardised = (judged[name] - normal.mean()) / normal.std()
        np.testing.assert_allclose(patch_scores(SCORES[name], statistics(9, 0), judged), standardised)
        np.testing.assert_array_equal(image_scores(SCORES[name], statistics(9, 0), judged), TOP3(judged[name]))


@pytest.mark.parametrize("name", SCORES)
def test_every_score_finds_what_is_unusual_in_all_statistics(name):
    shift = dict.fromkeys(("nll", "latent", "log_det", "memory0", "memory1"), 6.0)
    parts = statistics_of(name, shift)
    normal, odd = (image_scores(parts, statistics(40, 0), statistics(20, 1, each)) for each in ({}, shift))
    assert odd.min() > normal.max()


def test_a_score_looks_at_the_memory_of_every_layer_there_is():
    assert statistics_of("hybrid", ["memory1", "fold", "latent", "nll", "memory0"]) == (
        "nll", "latent", "memory0", "memory1",
    )  # fmt: skip
    assert statistics_of("hybrid", ["nll", "latent", "log_det"]) == ()
    with pytest.raises(ChoiceError, match="score: 'sum' is unknown"):
        statistics_of("sum", ["nll"])


@pytest.mark.parametrize("blind", ["nll", "log_det"])
def test_fused_sees_what_one_half_alone_is_blind_to(blind):
    seeing = {"nll": "log_det", "log_det": "nll"}[blind]
    shift = {seeing: 8.0, blind: -1.0}
    normal, odd = (image_scores(SCORES["fused"], statistics(40, 0), statistics(20, 1, each)) for each in ({}, shift))
    assert odd.min() > normal.max()


def test_surprise_is_minus_log_p_with_a_pareto_tail():
    reference = np.arange(1000.0)
    start, excess = 899.1, np.mean(np.arange(900, 1000) - 899.1)
    assert surprise(reference, np.array([499.5])) == pytest.approx(-np.log(0.5), abs=0.01)
    beyond = 0.1 * (1 + 0.5 * 5000 / (0.5 * excess)) ** -2
    assert surprise(reference, np.array([start + 5000])) == pytest.approx(-np.log(beyond))


def test_surprise_never_falls_and_has_no_ties_in_the_tail():
    reference = np.random.default_rng(0).normal(size=50)
    values = surprise(reference, np.linspace(-5, 50, 1000))
    assert (np.diff(values) >= 0).all()
    assert (np.diff(values[-800:]) > 0).all()
    assert np.isfinite(surprise(np.ones(5), np.array([0.0, 1.0, 2.0]))).all()


def test_comparable_scores_rank_as_the_scores_do_and_have_no_ties():
    """Below every normal score too, where surprises are all alike."""
    rng = np.random.default_rng(0)
    normal, scores = rng.normal(size=30), np.sort(rng.normal(0, 3, 200))
    found = comparable_scores(normal, scores)
    assert (np.diff(found) > 0).all()
    above = scores >= normal.min()
    np.testing.assert_array_equal(found[above], surprise(normal, scores[above]))
    assert (np.diff(comparable_scores(np.ones(3), np.array([0.0, 0.5, 1.0, 2.0]))) > 0).all()


def test_fuse_sums_surprises():
    references, values = [np.arange(50.0), np.arange(30.0)], [np.array([3.0]), np.array([90.0])]
    assert fuse(references, values) == pytest.approx(
        sum(surprise(*pair) for pair in zip(references, values, strict=True))
    )


def test_calibration_images_are_judged_against_the_others():
    """A threshold from the calibration images must not promise fewer false alarms than fresh normals raise."""
    rates = []
    for seed in range(200):
        held, fresh = statistics(20, 2 * seed), statistics(50, 2 * seed + 1)
        own = np.sort(scorer(SCORES["fused"], held).normal_scores)
        rates.append((image_scores(SCORES["fused"], held, fresh) > own[-2]).mean())
    assert 0.05 < np.mean(rates) <= 2 / 21


def test_an_image_is_not_judged_against_what_was_made_of_it():
    """Copies of an image among the reference would make it look ordinary."""
    rng, sources = np.random.default_rng(0), np.array([2, 0, 0])
    values = [rng.normal(size=4) for _ in range(2)]
    copies = [each[sources] for each in values]
    scores = scores_among_others(copies, sources, values, np.arange(4))
    for row in range(4):
        others = [each[sources != row] for each in copies]
        assert scores[row] == pytest.approx(fuse(others, [each[row : row + 1] for each in values])[0])
    alone = scores_among_others(values, np.zeros(4, int), values, np.zeros(4, int))
    np.testing.assert_allclose(alone, fuse(values, values))


def test_patch_statistics_count_the_standardisation(make_density):
    density = make_density(dia_blocks=0).eval()
    features = torch.randn(5, 3, 3, 10).half()
    memory = Memory([features[0, 0, :, :8], features[0, 0, :, 8:]])
    settings = {"channels": 8, "dtype": torch.float32, "batch_size": 2, "label": "x"}
    plain, shifted = (
        patch_statistics(density, memory, features, log_det=log_det, **settings) for log_det in (0.0, 3.0)
    )
    np.testing.assert_allclose(shifted["nll"], plain["nll"] - 3, rtol=1e-5)
    np.testing.assert_allclose(shifted["log_det"], plain["log_det"] - 3, rtol=1e-5)
    np.testing.assert_array_equal(shifted["latent"], plain["latent"])
    np.testing.assert_allclose(plain["nll"], plain["latent"] + plain["log_det"] + 4 * np.log(2 * np.pi), rtol=1e-5)
    np.testing.assert_allclose(plain["nll"], density(features[..., :8].float()).nll.detach(), rtol=1e-5)
    assert plain["memory0"][0, 0].max() < 0.05 < plain["memory0"][1].min()
    assert plain["memory1"].shape == (5, 3, 3)


def test_anomaly_maps_keep_place_and_level():
    scores = np.zeros((1, 7, 7), np.float32)
    scores[0, 1, 5] = 1
    smooth = anomaly_maps(scores, size=70, sigma=4.0)
    assert smooth.shape == (1, 70, 70)
    assert np.unravel_index(smooth[0].argmax(), (70, 70)) in [(row, column) for row in (14, 15) for column in (54, 55)]
    np.testing.assert_allclose(anomaly_maps(np.full((1, 7, 7), 2.0), size=70, sigma=4.0), 2.0, rtol=1e-5)
    assert anomaly_maps(scores, size=7, sigma=0.0).sum() == 1


@pytest.mark.parametrize(("size", "sigma"), [(64, 4.0), (45, 1.5), (30, 0.0), (7, 2.0)])
def test_anomaly_maps_are_the_interpolated_scores_smoothed(size, sigma):
    scores = np.random.default_rng(0).gamma(2, 3, (3, 9, 12)).astype(np.float32)
    upsampled = F.interpolate(torch.from_numpy(scores)[:, None], size=(size, size), mode="bilinear")[:, 0].numpy()
    expected = gaussian_filter(upsampled, (0, sigma, sigma)) if sigma else upsampled
    np.testing.assert_allclose(anomaly_maps(scores, size=size, sigma=sigma), expected, rtol=1e-5)


def test_unknown_aggregation_lists_the_choices():
    with pytest.raises(ChoiceError, match=", ".join(AGGREGATIONS)):
        named("median")(np.zeros((1, 2, 2)))
