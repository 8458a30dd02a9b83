"""Prototypes: standardization of patch features, and what is refused."""

from dataclasses import replace

import pytest
import torch
from samples import CPU, ORIGIN, WHOLE, prototype_of

from moleflow.config.errors import MoleflowError
from moleflow.features.prototype import load_prototype, save_prototype
from moleflow.features.standardization import BOUND
from moleflow.files.feature_store import StoreError


def test_prototype_is_small_and_read_back(products, tmp_path):
    made = prototype_of(products[0])
    save_prototype(tmp_path / "p.safetensors", made)
    read = load_prototype(tmp_path / "p.safetensors", CPU)
    assert read.patching == made.patching
    assert read.origin == made.origin
    assert read.features_digest == made.features_digest
    assert read.gaussian.directions.equal(made.gaussian.directions)
    assert made.gaussian.directions.shape == (8, 12)
    assert read.images.equal(made.images)
    assert read.left_out.equal(made.left_out)


def test_standardize_product_gives_zero_mean_unit_variance_and_its_log_det(products):
    made = prototype_of(products[1])
    features = made.standardized(products[1])[:].float().flatten(0, 2)
    torch.testing.assert_close(features.mean(0), torch.zeros(12), atol=2e-3, rtol=0)
    torch.testing.assert_close(features.std(0), torch.ones(12), atol=2e-3, rtol=0)
    assert made.log_det(12) == pytest.approx(-made.deviation.log().sum().item(), rel=1e-4)
    torch.testing.assert_close(made.scaled(products[1])[:], made.standardized(products[1])[:], rtol=2e-3, atol=1e-4)


def test_standardize_none_leaves_features_alone(products):
    made = prototype_of(products[1], standardize="none")
    assert made.log_det(12) == 0
    assert not made.shift.any()
    assert made.matrix.equal(torch.eye(12))
    assert not made.scaled(products[1])[:].equal(made.standardized(products[1])[:])


def test_whiten_decorrelates_each_layer_alone_and_counts_its_log_det(products):
    made = prototype_of(products[1], patching=WHOLE, standardize="whiten")
    assert made.layers == [6, 10]
    features = made.standardized(products[1])[:].double().flatten(0, 2)
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
    made = prototype_of(products[1], patching=WHOLE)
    assert [made.modeled(count) for count in (0, 1, 2)] == [16, 6, 16]
    with pytest.raises(MoleflowError, match="flow_layers: 3 of 2 layers"):
        made.modeled(3)
    with pytest.raises(MoleflowError, match="layer_merge: concat"):
        prototype_of(products[1]).modeled(2)


@pytest.mark.parametrize("standardize", ["product", "whiten"])
def test_a_channel_dead_on_normal_images_and_alive_on_a_defect_stays_in_range(make_split, standardize):
    """It would leave fp16, and squared it would leave fp32; distances and likelihoods must stay numbers."""
    maps = [torch.randn(9, 6, 8, 8), torch.randn(9, 10, 4, 4)]
    maps[0][:, 0] = 1.0
    made = prototype_of(make_split(maps=maps), patching={**WHOLE, "neighborhood": 1}, standardize=standardize)
    assert made.deviation.min() > 0
    defect = [layer.clone() for layer in maps]
    defect[0][:, 0] = 3e4
    test = make_split(maps=defect, name="defective")
    for features in (made.standardized(test), made.scaled(test)):
        assert features[:].isfinite().all()
        assert features[:].abs().max() == BOUND
    normal = made.standardized(make_split(maps=maps, name="again"))[:]
    assert normal.abs().max() < BOUND / 10


def test_too_few_and_equal_images_are_refused_by_name(make_split):
    one = [torch.randn(1, 6, 8, 8), torch.randn(1, 10, 4, 4)]
    with pytest.raises(StoreError, match=r"one\.zarr/train has 1 training images; 2 different ones are needed"):
        prototype_of(make_split(maps=one, name="one"))
    same = [layer.expand(7, -1, -1, -1) for layer in one]
    with pytest.raises(StoreError, match=r"the training images of .*same\.zarr/train are all alike"):
        prototype_of(make_split(maps=same, name="same"))
    flat = [torch.ones(5, 6, 8, 8), torch.ones(5, 10, 4, 4)]
    with pytest.raises(StoreError, match="are all alike"):
        prototype_of(make_split(maps=flat, name="flat"), patching=WHOLE, standardize="whiten")


def test_features_of_another_backbone_are_refused_wherever_they_meet_a_prototype(products, make_split):
    made = prototype_of(products[0])
    other = make_split(origin=replace(ORIGIN, backbone="other.tag"), name="other")
    for use in (made.standardized, made.scaled, made.embeddings_of, made.require_origin):
        with pytest.raises(StoreError, match=r"other\.zarr/train was extracted with backbone 'other\.tag'"):
            use(other)
