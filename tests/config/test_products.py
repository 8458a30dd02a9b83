"""The products and tasks of params.yaml."""

import pytest
from samples import TWO_PRODUCTS as HEAD

from moleflow.config.params import ParamsError
from moleflow.config.products import Products, load_products, path_mistakes


@pytest.mark.parametrize("key", ["01", "1e3", "null", "true", "1.0", "2026-01-01"])
def test_a_key_that_is_no_text_is_refused_because_dvc_drops_it(tmp_path, key):
    path = tmp_path / "params.yaml"
    path.write_text(HEAD.replace("nut:", f"{key}:"))
    with pytest.raises(ParamsError, match=r"not text to YAML.* quote them"):
        load_products(path)


def test_a_quoted_key_is_text(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(HEAD.replace("nut:", "'01':"))
    assert list(load_products(path).classes) == ["bolt", "01"]


def test_a_product_may_set_its_own_rate(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(HEAD.replace("path: y}", "path: y, alarm_rate: 0.01}"))
    products = load_products(path)
    assert [each.overrides for each in products.classes.values()] == [{}, {"alarm_rate": 0.01}]
    path.write_text(HEAD.replace("path: y}", "path: y, alarm_rate: 1.5}"))
    with pytest.raises(ParamsError, match=r"classes\.nut\.alarm_rate: .*less than 1"):
        load_products(path)


@pytest.mark.parametrize("other", ["x", "./x/", "z/../x"])
def test_a_folder_is_one_products_own(other):
    lines = {name: {"task": "t0", "layout": "mvtec", "path": path} for name, path in (("bolt", "x"), ("nut", other))}
    found = path_mistakes(Products(classes=lines, first_task="t0", later_tasks=[], recalibrations={}))
    assert found == [
        f"classes.nut.path: {other!r} is the folder of bolt too; correct it, or remove one of the two lines"
    ]


@pytest.mark.parametrize("path", ["", ".", "./", "/", "x/.."])
def test_a_folder_that_holds_the_repository_is_no_products(path):
    lines = {"bolt": {"task": "t0", "layout": "mvtec", "path": path}}
    found = path_mistakes(Products(classes=lines, first_task="t0", later_tasks=[], recalibrations={}))
    assert found == [f"classes.bolt.path: {path!r} holds the repository; write the folder of its images"]
