"""Changing params.yaml."""

import pytest

from moleflow.files.params_file import write_params


def test_unknown_keys_are_refused(params):
    with pytest.raises(KeyError, match="no_such_key"):
        write_params({"no_such_key": 1}, params)
