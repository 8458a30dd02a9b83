"""Changing params.yaml."""

import pytest

from moleflow.config.params import ParamsError
from moleflow.config.products import load_products
from moleflow.files.params_file import set_recalibration, write_params


def test_unknown_keys_are_refused(params):
    with pytest.raises(ParamsError, match="the keys no_such_key are missing"):
        write_params({"no_such_key": 1}, params)


def test_lines_end_as_they_did(params):
    text = params.read_bytes()
    product = next(iter(load_products(params).classes))
    for end in (b"\n", b"\r\n"):
        params.write_bytes(text.replace(b"\n", end))
        write_params({"baselines": ["pca"], "seed": 7}, params)
        set_recalibration(product, "today", params)
        written = params.read_bytes()
        assert written.count(b"\n") == written.count(end) > 100
        assert written.count(b"\r") == (written.count(b"\n") if end == b"\r\n" else 0)
        assert load_products(params).recalibrations == {product: "today"}
