"""Changing params.yaml."""

import pytest

from moleflow.config.params import ParamsError
from moleflow.files.params_file import write_params


def test_unknown_keys_are_refused(params):
    with pytest.raises(ParamsError, match="the keys no_such_key are missing"):
        write_params({"no_such_key": 1}, params)
