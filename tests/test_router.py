import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf

from moleflow.calibration import p_values
from moleflow.params import ParamsError
from moleflow.prototypes import build_prototype, load_prototype, save_prototype
from moleflow.router import (
    ROUTERS,
    euclidean,
    fit_gaussian,
    held_out_strangeness,
    mahalanobis,
    nearest_by_task,
    rejected,
    stolen_rows,
)

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


def test_images_of_a_known_product_are_rejected_at_the_rate():
    generator = torch.Generator().manual_seed(0)
    shares = []
    for _ in range(40):
        normal, fresh = (torch.randn(count, 6, generator=generator) for count in (49, 200))
        strangeness = euclidean(fit_gaussian(normal, 4), fresh, True).numpy()
        p = p_values(held_out_strangeness(normal).numpy(), strangeness)
        assert not rejected(p[:, None], 0.0).any()
        shares.append(rejected(p[:, None], 0.1).mean())
    assert 0.08 < sum(shares) / len(shares) < 0.12


def test_held_out_strangeness_is_to_the_centre_of_the_others():
    embedded = torch.randn(7, 3)
    others = torch.stack([torch.cat([embedded[:row], embedded[row + 1 :]]).mean(0) for row in range(7)])
    torch.testing.assert_close(
        held_out_strangeness(embedded), (embedded - others).double().square().sum(1), rtol=1e-5, atol=1e-6
    )


def test_an_image_near_any_prototype_is_not_rejected():
    p = np.array([[0.01, 0.5], [0.01, 0.01], [0.3, 0.02]])
    assert rejected(p, 0.05).tolist() == [False, True, False]


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


def test_dead_channel_is_not_blown_up(make_split):
    maps = [torch.randn(9, 6, 8, 8), torch.randn(9, 10, 4, 4)]
    maps[0][:, 0] = 1.0
    made = prototype(make_split(maps=maps), patching={**PATCHING, "embed_dim": 16, "neighbourhood": 1})
    assert made.deviation.min() > 0
    assert made.standardised(make_split(maps=maps, name="again"))[:].isfinite().all()


def test_stolen_rows_are_those_that_a_prototype_ever_attracts():
    chosen = np.array([[0, 0], [0, 1], [1, 0], [2, 2]])
    assert stolen_rows(chosen, 1).tolist() == [1, 2]
    assert stolen_rows(chosen, 3).tolist() == []
