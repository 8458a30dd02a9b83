"""Position codes."""

import pytest

from moleflow.config.errors import MoleflowError
from moleflow.flow.positions import POSITIONS


def test_position_none_is_zero_and_sincos_tells_places_apart():
    assert not POSITIONS["none"](3, 4, 8).any()
    code = POSITIONS["sincos"](3, 4, 8)
    assert len(code.flatten(0, 1).unique(dim=0)) == 12
    assert code[..., :4].unique(dim=0).shape[0] == 1  # the first half depends on the column alone
    with pytest.raises(MoleflowError, match="embed_dim and flow_layers give 10"):
        POSITIONS["sincos"](3, 3, 10)
