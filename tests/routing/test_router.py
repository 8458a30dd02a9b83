"""The router: which prototypes it takes, and how clearly an image belongs to one."""

from dataclasses import replace

import numpy as np
import pytest
from samples import ORIGIN, PATCHING, own_images_of, prototype_of

from moleflow.features.neighbors import neighbor_distances
from moleflow.files.artifacts import ArtifactError
from moleflow.routing.rejection import rejected
from moleflow.routing.router import Router, margins
from moleflow.routing.routers import Mahalanobis


@pytest.mark.parametrize(
    ("what", "value"),
    [("origin", replace(ORIGIN, backbone="other.tag")), ("patching", {**PATCHING, "grid": 5}), ("layers", [6, 6])],
)
def test_a_prototype_of_other_features_is_refused(products, what, value):
    made = prototype_of(products[0])
    with pytest.raises(ArtifactError, match=f"the prototypes of bolt and nut differ in {what}: "):
        Router("euclidean", {"bolt": made, "nut": replace(made, **{what: value})}, {})


def test_columns_are_products_in_order_of_arrival(products):
    prototypes = {"bolt": prototype_of(products[0]), "nut": prototype_of(products[1])}
    router, embedded = (
        Router("mahalanobis", prototypes, own_images_of(prototypes)),
        prototypes["bolt"].embeddings_of(products[0]),
    )
    distances, strangeness = router.distances(embedded), router.strangeness(embedded)
    assert distances.shape == strangeness.shape == (24, 2)
    assert (distances.argmin(1) == 0).all()
    np.testing.assert_allclose(distances[:, 1], Mahalanobis([prototypes["nut"]])(embedded, None)[:, 0].numpy())
    p = router.known_p_values(strangeness)
    assert p[:, 0].min() > p[:, 1].max()
    assert (strangeness.argmin(1) == 0).all()
    for rate in (0.0, 0.1, 0.5, 1.0):
        mixed = np.concatenate([strangeness, 1e4 * strangeness])
        expected = rejected(router.known_p_values(mixed), mixed, rate)
        np.testing.assert_array_equal(router.rejected(mixed, rate), expected)
        assert expected[24:].all() == (rate > 0)
    near = Router("neighbors", prototypes, own_images_of(prototypes))
    np.testing.assert_allclose(near.strangeness(embedded), strangeness)
    own = [neighbor_distances(embedded, prototype.images).numpy() for prototype in prototypes.values()]
    np.testing.assert_allclose(strangeness, np.stack(own, 1))
    deepest = prototypes["bolt"].layers[-1]  # alone decides where an image goes
    known = [prototype.images[:, -deepest:] for prototype in prototypes.values()]
    expected = [neighbor_distances(embedded[:, -deepest:], images).numpy() for images in known]
    np.testing.assert_allclose(near.distances(embedded), np.stack(expected, 1))


def test_the_oracle_knows_the_product_that_it_is_told(products):
    prototypes = {"bolt": prototype_of(products[0]), "nut": prototype_of(products[1])}
    router, embedded = (
        Router("oracle", prototypes, own_images_of(prototypes)),
        prototypes["bolt"].embeddings_of(products[0]),
    )
    assert (router.distances(embedded, "nut").argmin(1) == 1).all()
    assert len(np.unique(router.distances(embedded))) == 1


def test_margins_tell_a_tie_from_a_clear_choice():
    found = margins(np.array([[1.0, 4.0, 9.0], [2.0, 2.0, 5.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]))
    assert found.tolist() == [0.75, 0.0, 1.0, 0.0]
    assert np.isnan(margins(np.array([[3.0]]))).all()
