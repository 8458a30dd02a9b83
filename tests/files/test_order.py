"""Products in their order of arrival."""

import pytest
from samples import TWO_PRODUCTS as HEAD

from moleflow.config.products import load_products
from moleflow.files.artifacts import ArtifactError
from moleflow.files.order import Order, read_order, read_task


def order_of(path):
    products = load_products(path)
    return Order.of(products.tasks, {name: line.task for name, line in products.classes.items()})


def test_products_of_a_task_in_order_of_arrival(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(HEAD.replace("task: t1", "task: t0").replace("[t1]", "[]"))
    order = order_of(path)
    assert order.of_task("t0") == ["bolt", "nut"]
    assert order.known_after() == [2]


def test_products_arrive_task_by_task_whatever_the_order_of_their_lines(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(HEAD.replace("first_task: t0", "first_task: t1").replace("[t1]", "[t0]"))
    order = order_of(path)
    assert order.tasks == ["t1", "t0"]
    assert list(order.products.items()) == [("nut", "t1"), ("bolt", "t0")]
    assert order.known_after() == [1, 2]


def test_an_order_is_read_back_and_a_missing_one_is_named(tmp_path):
    order = Order(["t0", "t1"], {"bolt": "t0", "größe": "t1"})
    (tmp_path / "order.json").write_text(order.text(), encoding="utf-8")
    assert read_order(tmp_path / "order.json") == order
    for read in (read_order, read_task):
        with pytest.raises(ArtifactError, match=r"nothing does not exist; `dvc repro check` makes it"):
            read(tmp_path / "nothing")
