"""The keys of the backbone's view."""

import pytest
from projects import ROOT
from pydantic import ValidationError
from ruamel.yaml import YAML

from stages.view import ViewConfig

PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")


@pytest.mark.parametrize("layers", [[], [3, 2], [2, 2]])
def test_layers_increase(layers):
    """timm gives maps in the network's order; another order would label them wrongly."""
    view = {key: PARAMS[key] for key in ViewConfig.model_fields}
    assert ViewConfig(**view).layers == PARAMS["layers"]
    with pytest.raises(ValidationError, match="layers"):
        ViewConfig(**{**view, "layers": layers})
