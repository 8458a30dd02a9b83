"""Routers send images home, and know the products of their time only."""

import numpy as np
import pytest
import torch
from samples import WHOLE, prototype_of, prototype_with
from sklearn.covariance import LedoitWolf

from moleflow.config.registry import call
from moleflow.features.neighbors import neighbor_distances
from moleflow.routing import routers
from moleflow.routing.regions import Regions, with_regions
from moleflow.routing.rejection import OwnImages
from moleflow.routing.routers import ROUTERS, Mahalanobis, candidates_by_task, misrouted_rows, nearest_by_task


def embedded_with_regions(prototype, split, side=2):
    features = prototype.patch_features(split.maps())
    return with_regions(features, prototype.embeddings(features), side=side, channels=prototype.layers[-1])


def regions_of(prototype, split, side=2):
    embedded = embedded_with_regions(prototype, split, side)
    nearest = Mahalanobis([prototype])
    arguments = {"side": side, "channels": prototype.layers[-1]}
    return Regions.of([embedded], embedded, lambda own: nearest(own, None)[:, 0], **arguments)


def made(name, prototypes, splits):
    """A router of any name, and what it looks at."""
    regions = [regions_of(prototype, split) for prototype, split in zip(prototypes, splits, strict=True)]
    return call(ROUTERS[name], {"router_candidates": 2, "regions": regions}, prototypes)


@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_sends_images_home(products, name):
    prototypes = [prototype_of(split) for split in products]
    router = made(name, prototypes, products)
    for number, split in enumerate(products):
        distances = router(embedded_with_regions(prototypes[number], split), number)
        assert (nearest_by_task(distances, [1, 2])[:, -1] == number).all()


def test_regional_tells_products_apart_that_differ_only_in_where_things_are(make_split):
    """Two halves, changed about: every channel's median and mean over the image are the same."""
    generator = torch.Generator().manual_seed(0)
    splits = []
    for number in range(2):
        maps = [torch.randn(24, channels, side, side, generator=generator) for channels, side in ((6, 8), (10, 4))]
        for layer in maps:
            half = np.s_[: layer.shape[2] // 2] if number else np.s_[layer.shape[2] // 2 :]
            layer[:, :, half] += 1.0
        splits.append(make_split(maps=maps, name=f"half{number}"))
    prototypes = [prototype_of(split, patching=WHOLE) for split in splits]
    right = {}
    for name in ("mahalanobis", "regional"):
        router = made(name, prototypes, splits)
        found = [router(embedded_with_regions(prototypes[0], split), None).argmin(1) for split in splits]
        right[name] = torch.cat([chosen == number for number, chosen in enumerate(found)]).double().mean()
    assert right["regional"] == 1
    assert right["mahalanobis"] < 0.9


def test_regional_by_hand(products):
    prototypes = [prototype_of(split, patching=WHOLE) for split in products]
    router, embedded = made("regional", prototypes, products), embedded_with_regions(prototypes[0], products[1])
    features = prototypes[0].patch_features(products[1].maps())[..., 6:]
    means = torch.stack([features[:, r : r + 2, c : c + 2].mean((1, 2)) for r in (0, 2) for c in (0, 2)], dim=1)
    for number, (prototype, split) in enumerate(zip(prototypes, products, strict=True)):
        regions = regions_of(prototype, split)
        regional = (means - torch.tensor(regions.centers)).norm(dim=2).mean(1)
        mahalanobis = Mahalanobis([prototype])(embedded, None)[:, 0].sqrt()
        expected = 0.7 * mahalanobis / regions.typical_mahalanobis + 0.3 * regional / regions.typical_regional
        torch.testing.assert_close(router(embedded, None)[:, number], expected.double(), rtol=1e-4, atol=1e-4)


def test_candidates_are_the_nearest_of_their_time_in_order():
    distances = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 0.5], [1.0, 1.0, 1.0]])
    assert candidates_by_task(distances, [1, 3], 2).tolist() == [
        [[0, -1], [2, 1]], [[0, -1], [2, 0]], [[0, -1], [0, 1]],
    ]  # fmt: skip
    torch.testing.assert_close(
        candidates_by_task(distances, [1, 2, 3], 1)[..., 0], nearest_by_task(distances, [1, 2, 3])
    )


def test_mahalanobis_at_full_rank_is_the_shrunk_covariances(products):
    """With every direction kept, the low-rank form is scikit-learn's Mahalanobis distance."""
    full = prototype_of(products[0], router_rank=11)
    embedded = full.embeddings_of(products[0]).double()
    expected = LedoitWolf().fit(embedded.numpy()).mahalanobis(embedded.numpy())
    torch.testing.assert_close(
        Mahalanobis([full])(embedded.float(), 0)[:, 0], torch.from_numpy(expected), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("name", ["neighbors", "mahalanobis", "euclidean"])
def test_products_of_any_rank_are_measured_together_as_each_alone(name, monkeypatch):
    """A product of two images knows one direction, another one twenty; images are taken a few at a time."""
    generator = torch.Generator().manual_seed(0)
    prototypes = [prototype_with(torch.randn(count, 30, generator=generator), 20) for count in (2, 9, 40)]
    embedded = torch.randn(11, 30, generator=generator)
    alone = torch.cat([ROUTERS[name]([one])(embedded, None) for one in prototypes], dim=1)
    torch.testing.assert_close(ROUTERS[name](prototypes)(embedded, None), alone)
    monkeypatch.setattr(routers, "NUMBERS", 2 * 3 * 40)
    torch.testing.assert_close(ROUTERS[name](prototypes)(embedded, None), alone)
    if name == "neighbors":
        expected = [neighbor_distances(embedded, one.images) for one in prototypes]
        torch.testing.assert_close(alone, torch.stack(expected, 1))
        return
    gaussian = prototypes[1].gaussian
    offset = (embedded[4] - gaussian.center).double().numpy()
    directions = gaussian.directions.double().numpy()
    floor, variances = float(gaussian.floor), gaussian.variances.double().numpy()
    covariance = floor * np.eye(30) + directions.T @ np.diag(variances - floor) @ directions
    metric = np.linalg.inv(covariance) if name == "mahalanobis" else np.eye(30)
    assert alone[4, 1].item() == pytest.approx(offset @ metric @ offset, rel=1e-4)


def test_a_task_knows_the_products_of_its_time_only():
    distances = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 0.5], [1.0, 1.0, 1.0]])
    assert nearest_by_task(distances, [1, 2, 3]).tolist() == [[0, 1, 2], [0, 0, 2], [0, 0, 0]]
    assert nearest_by_task(distances, [2, 3]).tolist() == [[1, 2], [0, 2], [0, 0]]  # two products in the first task


@pytest.mark.parametrize("count", [2, 3])
def test_two_images_make_a_prototype_of_finite_numbers(make_split, count):
    split = make_split(maps=[torch.randn(count, 6, 8, 8), torch.randn(count, 10, 4, 4)])
    prototype = prototype_of(split, patching=WHOLE, standardize="whiten")
    embedded = embedded_with_regions(prototype, split)
    assert prototype.gaussian.floor > 0
    for name in ROUTERS:
        assert made(name, [prototype], [split])(embedded + 1, 0).isfinite().all()
    p = OwnImages.of([prototype.left_out.numpy()]).p_values(np.array([0.0, 1.0, 1e9]))
    assert (p == 1).all()  # too few to tell


@pytest.mark.parametrize("name", ["mahalanobis", "neighbors", "euclidean"])
def test_a_product_of_one_embedding_is_near_to_itself_alone(name):
    even, other = torch.ones(20, 6), 3 + torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    router = ROUTERS[name]([prototype_with(even), prototype_with(other)])
    assert router(torch.cat([even, other]), None).argmin(1).tolist() == [0] * 20 + [1] * 20


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
    candidates = {"bolt": np.array([[[0, -1]], [[0, 1]]]), "nut": np.array([[[1, 0]]])}
    assert {name: rows.tolist() for name, rows in misrouted_rows(candidates, "nut").items()} == {"bolt": [1]}


def test_an_image_beside_a_narrow_product_is_not_sent_to_a_broad_one():
    """Its next session lies outside all of its images, and within none of the other's."""
    generator = torch.Generator().manual_seed(0)
    narrow = prototype_with(0.05 * torch.randn(60, 30, generator=generator))
    broad = prototype_with(3 + 2 * torch.randn(60, 30, generator=generator))
    later = 0.7 + 0.05 * torch.randn(20, 30, generator=generator)
    assert (ROUTERS["neighbors"]([narrow, broad])(later, None).argmin(1) == 0).all()
    assert (ROUTERS["mahalanobis"]([narrow, broad])(later, None).argmin(1) == 1).all()  # what it replaced
