"""The keys of the backbone's view."""

import pytest
from projects import ROOT
from pydantic import ValidationError
from ruamel.yaml import YAML

from stages.backbone_keys import BackboneConfig

PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")


@pytest.mark.parametrize("layers", [[], [3, 2], [2, 2]])
def test_layers_increase(layers):
    """timm gives maps in the network's order; another order would label them wrongly."""
    view = {key: PARAMS[key] for key in BackboneConfig.model_fields}
    assert BackboneConfig(**view).layers == PARAMS["layers"]
    with pytest.raises(ValidationError, match="layers"):
        BackboneConfig(**{**view, "layers": layers})
