from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ORIGIN
from sklearn.covariance import LedoitWolf

from moleflow.calibration import p_values
from moleflow.features import BOUND
from moleflow.params import ParamsError
from moleflow.prototypes import build_prototype, load_prototype, save_prototype
from moleflow.router import (
    ROUTERS,
    can_reject,
    euclidean,
    fit_gaussian,
    held_out_strangeness,
    known_p_values,
    mahalanobis,
    misrouted_rows,
    nearest_by_task,
    rejected,
)
from moleflow.store import StoreError
from stages import route

PATCHING = {"neighbourhood": 3, "embed_dim": 12, "grid": 4, "layer_merge": "concat"}
WHOLE = {**PATCHING, "embed_dim": 16}  # 6 + 10 channels, layers kept apart


@pytest.fixture
def products(make_split):
    """Two products whose layer maps differ in level."""
    generator = torch.Generator().manual_seed(0)

    def maps(level, count):
        return [
            level + torch.randn((count, channels, side, side), generator=generator)
            for channels, side in ((6, 8), (10, 4))
        ]

    return [make_split(maps=maps(level, 24), name=f"p{level}") for level in (0, 2)]


def prototype(split, **changes):
    return build_prototype(
        split, split, **{"patching": PATCHING, "standardize": "product", "router_rank": 8, **changes}
    )


@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_sends_images_home(products, name):
    prototypes = [prototype(split) for split in products]
    for number, split in enumerate(products):
        embedded = prototypes[number].embeddings(split)
        distances = [ROUTERS[name](each.gaussian, embedded, i == number) for i, each in enumerate(prototypes)]
        assert (nearest_by_task(torch.stack(distances, 1), [1, 2])[:, -1] == number).all()


def test_mahalanobis_at_full_rank_is_the_shrunk_covariances(products):
    """With every direction kept, the low-rank form is scikit-learn's Mahalanobis distance."""
    full = prototype(products[0], router_rank=11)
    embedded = full.embeddings(products[0]).double()
    expected = LedoitWolf().fit(embedded.numpy()).mahalanobis(embedded.numpy())
    torch.testing.assert_close(
        mahalanobis(full.gaussian, embedded.float(), True), torch.from_numpy(expected), rtol=1e-3, atol=1e-3
    )


def test_a_task_knows_the_products_of_its_time_only():
    distances = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 0.5], [1.0, 1.0, 1.0]])
    assert nearest_by_task(distances, [1, 2, 3]).tolist() == [[0, 1, 2], [0, 0, 2], [0, 0, 0]]
    assert nearest_by_task(distances, [2, 3]).tolist() == [[1, 2], [0, 2], [0, 0]]  # two products in the first task


@pytest.mark.parametrize(("count", "rate"), [(49, 0.1), (150, 0.01), (49, 0.01), (20, 0.01), (8, 0.01), (8, 0.05)])
@pytest.mark.parametrize("channels", [6, 60])
def test_about_the_rate_of_a_known_products_images_is_rejected_and_what_is_far_is(count, rate, channels):
    """With few images too, where the share alone could never fall to the rate."""
    generator = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(60):
        normal, fresh = (torch.randn(images, channels, generator=generator) for images in (count, 200))
        strangeness = euclidean(fit_gaussian(normal, 4), fresh, True).numpy()
        held_out = held_out_strangeness(normal).numpy()
        p = known_p_values(held_out, strangeness)
        assert not rejected(p[:, None], 0.0).any()
        shares.append(rejected(p[:, None], rate).mean())
        assert rejected(known_p_values(held_out, np.array([1e6]))[:, None], rate).all()
    assert sum(shares) / len(shares) < 2 * rate


def test_stranger_images_have_smaller_p_values_and_shares_come_first():
    held_out = np.random.default_rng(0).chisquare(20, 30)
    strangeness = np.linspace(0, 4 * held_out.max(), 400)
    p = known_p_values(held_out, strangeness)
    assert (np.diff(p) <= 0).all()
    seen = strangeness <= held_out.max()
    np.testing.assert_array_equal(p[seen], p_values(held_out, strangeness[seen]))
    assert p[~seen].max() <= 1 / 31
    assert p[-1] < 1e-3
    few = known_p_values(held_out[:4], strangeness)
    assert few.min() == 1 / 5
    assert [can_reject(count, 0.01) for count in (4, 5, 99)] == [False, True, True]
    assert can_reject(4, 0.2)


def test_a_small_product_does_not_switch_rejection_off_for_all():
    rng = np.random.default_rng(0)
    large, small = rng.chisquare(20, 200), rng.chisquare(20, 12)
    p = np.stack([known_p_values(each, np.array([5.0, 500.0])) for each in (large, small)], axis=1)
    assert rejected(p, 0.01).tolist() == [False, True]


def test_an_image_at_the_center_is_no_trouble():
    held_out = np.array([0.0, 1.0, 2.0, 3.0, 2.0, 1.0])
    p = known_p_values(held_out, np.array([0.0, 2.0, 1e12]))
    assert np.isfinite(p).all()
    assert p[0] == 1


def test_held_out_strangeness_is_to_the_centre_of_the_others():
    embedded = torch.randn(7, 3)
    others = torch.stack([torch.cat([embedded[:row], embedded[row + 1 :]]).mean(0) for row in range(7)])
    torch.testing.assert_close(
        held_out_strangeness(embedded), (embedded - others).double().square().sum(1), rtol=1e-5, atol=1e-6
    )


def test_an_image_near_any_prototype_is_not_rejected():
    p = np.array([[0.01, 0.5], [0.01, 0.01], [0.3, 0.02]])
    assert rejected(p, 0.05).tolist() == [False, True, False]
    assert not rejected(np.full((1, 2), 1e-12), 0.0).any()


def test_rank_beyond_images_and_channels_is_cut(products):
    made = prototype(products[0], router_rank=500)
    assert made.gaussian.directions.shape == (11, 12)
    assert made.gaussian.floor > 0


def test_prototype_is_small_and_read_back(products, tmp_path):
    made = prototype(products[0])
    save_prototype(tmp_path / "p.safetensors", made)
    read = load_prototype(tmp_path / "p.safetensors")
    assert read.patching == made.patching
    assert read.origin == made.origin
    assert read.features_digest == made.features_digest
    assert read.gaussian.directions.equal(made.gaussian.directions)
    assert made.gaussian.directions.shape == (8, 12)
    assert read.held_out.equal(made.held_out)


def test_standardise_product_gives_zero_mean_unit_variance_and_its_log_det(products):
    made = prototype(products[1])
    features = made.standardised(products[1])[:].float().flatten(0, 2)
    torch.testing.assert_close(features.mean(0), torch.zeros(12), atol=2e-3, rtol=0)
    torch.testing.assert_close(features.std(0), torch.ones(12), atol=2e-3, rtol=0)
    assert made.log_det(12) == pytest.approx(-made.deviation.log().sum().item(), rel=1e-4)
    torch.testing.assert_close(made.scaled(products[1])[:], made.standardised(products[1])[:], rtol=2e-3, atol=1e-4)


def test_standardise_none_leaves_features_alone(products):
    made = prototype(products[1], standardize="none")
    assert made.log_det(12) == 0
    assert not made.shift.any()
    assert made.matrix.equal(torch.eye(12))
    assert not made.scaled(products[1])[:].equal(made.standardised(products[1])[:])


def test_whiten_decorrelates_each_layer_alone_and_counts_its_log_det(products):
    made = prototype(products[1], patching=WHOLE, standardize="whiten")
    assert made.layers == [6, 10]
    features = made.standardised(products[1])[:].double().flatten(0, 2)
    raw = made.scaled(products[1])[:].double().flatten(0, 2)
    for rows in (slice(0, 6), slice(6, 16)):
        off_diagonal = features[:, rows].T.cov() - features[:, rows].T.cov().diag().diag()
        before = raw[:, rows].T.cov() - raw[:, rows].T.cov().diag().diag()
        assert off_diagonal.abs().max() < 0.2 * before.abs().max()
    assert not made.matrix[:6, 6:].any()
    assert not made.matrix[6:, :6].any()
    assert made.log_det(6) == pytest.approx(torch.linalg.slogdet(made.matrix[:6, :6]).logabsdet.item(), rel=1e-4)
    assert made.log_det(16) == pytest.approx(torch.linalg.slogdet(made.matrix).logabsdet.item(), rel=1e-4)


def test_flow_models_the_first_layers(products):
    made = prototype(products[1], patching=WHOLE)
    assert [made.modelled(count) for count in (0, 1, 2)] == [16, 6, 16]
    with pytest.raises(ParamsError, match="flow_layers: 3 of 2 layers"):
        made.modelled(3)
    with pytest.raises(ParamsError, match="layer_merge: concat"):
        prototype(products[1]).modelled(2)


@pytest.mark.parametrize("standardize", ["product", "whiten"])
def test_a_channel_dead_on_normal_images_and_alive_on_a_defect_stays_in_range(make_split, standardize):
    """It would leave fp16, and squared it would leave fp32; distances and likelihoods must stay numbers."""
    maps = [torch.randn(9, 6, 8, 8), torch.randn(9, 10, 4, 4)]
    maps[0][:, 0] = 1.0
    made = prototype(make_split(maps=maps), patching={**WHOLE, "neighbourhood": 1}, standardize=standardize)
    assert made.deviation.min() > 0
    defect = [layer.clone() for layer in maps]
    defect[0][:, 0] = 3e4
    test = make_split(maps=defect, name="defective")
    for features in (made.standardised(test), made.scaled(test)):
        assert features[:].isfinite().all()
        assert features[:].abs().max() == BOUND
    normal = made.standardised(make_split(maps=maps, name="again"))[:]
    assert normal.abs().max() < BOUND / 10


def test_too_few_and_equal_images_are_refused_by_name(make_split):
    one = [torch.randn(1, 6, 8, 8), torch.randn(1, 10, 4, 4)]
    with pytest.raises(StoreError, match=r"one\.zarr/train has 1 training images; 2 different ones are needed"):
        prototype(make_split(maps=one, name="one"))
    same = [layer.expand(7, -1, -1, -1) for layer in one]
    with pytest.raises(StoreError, match=r"the training images of .*same\.zarr/train are all alike"):
        prototype(make_split(maps=same, name="same"))
    flat = [torch.ones(5, 6, 8, 8), torch.ones(5, 10, 4, 4)]
    with pytest.raises(StoreError, match="are all alike"):
        prototype(make_split(maps=flat, name="flat"), patching=WHOLE, standardize="whiten")


@pytest.mark.parametrize("count", [2, 3])
def test_two_images_make_a_prototype_of_finite_numbers(make_split, count):
    split = make_split(maps=[torch.randn(count, 6, 8, 8), torch.randn(count, 10, 4, 4)])
    made = prototype(split, patching=WHOLE, standardize="whiten")
    embedded = made.embeddings(split)
    assert made.gaussian.floor > 0
    for router in ROUTERS.values():
        assert router(made.gaussian, embedded + 1, True).isfinite().all()
    p = known_p_values(made.held_out.numpy(), np.array([0.0, 1.0, 1e9]))
    assert ((p > 0) & (p <= 1)).all()


def test_features_of_another_backbone_are_refused_wherever_they_meet_a_prototype(products, make_split):
    made = prototype(products[0])
    other = make_split(origin=replace(ORIGIN, backbone="other.tag"), name="other")
    for use in (made.standardised, made.scaled, made.embeddings, made.require_origin):
        with pytest.raises(StoreError, match=r"other\.zarr/train was extracted with backbone 'other\.tag'"):
            use(other)


def test_misrouted_rows_are_those_that_a_prototype_ever_attracts():
    chosen = {
        "bolt": np.array([[0, 0], [0, 1], [1, 0], [2, 2]]),
        "nut": np.array([[1], [2]]),
        "washer": np.array([[2]]),
    }
    assert {name: rows.tolist() for name, rows in misrouted_rows(chosen, "nut").items()} == {"bolt": [1, 2]}
    sent = misrouted_rows(chosen, "washer")
    assert {name: rows.tolist() for name, rows in sent.items()} == {"bolt": [3], "nut": [1]}
    assert misrouted_rows(chosen, "bolt") == {}


def test_the_stage_refuses_a_prototype_of_another_backbone_among_the_others(products):
    made = prototype(products[0])
    other = replace(made, origin=replace(ORIGIN, backbone="other.tag"))
    with pytest.raises(StoreError, match=r"instead of 'other\.tag'"):
        route._distances("euclidean", {"bolt": made, "nut": other}, products[0], "bolt")
