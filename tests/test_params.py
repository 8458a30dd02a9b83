import pytest

from moleflow.order import Order
from moleflow.params import (
    Config,
    Count,
    Fraction,
    NonNegative,
    Odd,
    OddOrZero,
    ParamsError,
    load_params,
    load_products,
)

HEAD = """
classes:
  bolt: {task: t0, layout: mvtec, path: x}
  nut: {task: t1, layout: mvtec, path: y}
first_task: t0
later_tasks: [t1]
"""


class SomeConfig(Config):
    tail_weight: Fraction
    lr: NonNegative
    lora_rank: Count
    kernel: OddOrZero
    neighbourhood: Odd


GOOD = HEAD + "tail_weight: 0.7\nlr: 3e-4\nlora_rank: 4\nkernel: 0\nneighbourhood: 3\nother: 1\n"


@pytest.fixture
def load(tmp_path):
    def function(text, config=SomeConfig):
        path = tmp_path / "params.yaml"
        path.write_text(text)
        return load_params(config, path)

    return function


def test_reads_its_own_keys_only_and_numbers_as_numbers(load):
    config = load(GOOD)
    assert (config.tail_weight, config.lr, config.lora_rank) == (0.7, 3e-4, 4)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tail_weight: 0.7", "tail_weight: high", r"tail_weight.*'high'"),
        ("tail_weight: 0.7", "tail_weight: 1.2", r"tail_weight.*less than or equal to 1.*1\.2"),
        ("lora_rank: 4", "lora_rank: 4.5", r"lora_rank.*4\.5"),
        ("lora_rank: 4", "lora_rank: -1", r"lora_rank.*-1"),
        ("lora_rank: 4", "lora_rank: '4'", r"lora_rank"),
        ("kernel: 0", "kernel: 4", r"kernel: must be odd, not 4"),
        ("neighbourhood: 3", "neighbourhood: 2", r"neighbourhood: must be odd"),
        ("lora_rank: 4\n", "", r"lora_rank: Field required"),
        ("task: t1", "task: t9", r"classes\.nut\.task: 't9' is not listed; add it to later_tasks"),
        ("later_tasks: [t1]", "later_tasks: [t1, t2]", r"no class has task \['t2'\]"),
        ("later_tasks: [t1]", "later_tasks: [t1, t1]", r"listed twice"),
        ("task: t1", "tusk: t1", r"nut"),
        ("later_tasks: [t1]", "later_tasks: [t1", r"cannot be read"),
    ],
)
def test_mistakes_name_the_key(load, tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(ParamsError, match=said):
        load(GOOD.replace(old, new))
        load_products(tmp_path / "params.yaml")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ParamsError, match=r"nothing\.yaml cannot be read"):
        load_params(SomeConfig, tmp_path / "nothing.yaml")


def test_config_is_frozen(load):
    with pytest.raises(ValueError, match="frozen"):
        load(GOOD).lr = 1.0


@pytest.mark.parametrize("key", ["01", "1e3", "null", "true", "1.0", "2026-01-01"])
def test_a_key_that_is_no_text_is_refused_because_dvc_drops_it(tmp_path, key):
    path = tmp_path / "params.yaml"
    path.write_text(HEAD.replace("nut:", f"{key}:"))
    with pytest.raises(ParamsError, match=r"no text to YAML.* quote them"):
        load_products(path)


def test_a_quoted_key_is_text(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(HEAD.replace("nut:", "'01':"))
    assert list(load_products(path).classes) == ["bolt", "01"]


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


def test_a_product_may_set_its_own_rate(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(HEAD.replace("path: y}", "path: y, alarm_rate: 0.01}"))
    products = load_products(path)
    assert [each.overrides for each in products.classes.values()] == [{}, {"alarm_rate": 0.01}]
    path.write_text(HEAD.replace("path: y}", "path: y, alarm_rate: 1.5}"))
    with pytest.raises(ParamsError, match=r"classes\.nut\.alarm_rate: .*less than 1"):
        load_products(path)
