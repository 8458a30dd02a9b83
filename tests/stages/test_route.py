"""The stage route: what it refuses."""

from dataclasses import replace

import pytest
from samples import ORIGIN, prototype_of

from moleflow.files.feature_store import StoreError
from stages import route


def test_the_stage_refuses_a_prototype_of_another_backbone_among_the_others(products):
    made = prototype_of(products[0])
    other = replace(made, origin=replace(ORIGIN, backbone="other.tag"))
    with pytest.raises(StoreError, match=r"instead of 'other\.tag'"):
        route._distances("euclidean", {"bolt": made, "nut": other}, products[0], "bolt")
