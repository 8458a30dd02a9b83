"""Weights of pinned packages fit timm's models."""

import pytest

from moleflow.backbones.backbone import timm
from moleflow.backbones.packaged_weights import PACKAGED, packaged_weights


@pytest.mark.parametrize("name", PACKAGED)
def test_every_package_fits_timm(name):
    expected = timm.create_model(name).state_dict()
    found = packaged_weights(name, expected)
    assert {key: value.shape for key, value in found.items()} == {key: value.shape for key, value in expected.items()}
