import pytest
from samples import TWO_PRODUCTS as HEAD

from moleflow.config.params import (
    Config,
    Count,
    Fraction,
    NonNegative,
    Odd,
    OddOrZero,
    ParamsError,
    load_params,
)
from moleflow.config.products import load_products


class SomeConfig(Config):
    tail_weight: Fraction
    lr: NonNegative
    lora_rank: Count
    kernel: OddOrZero
    neighborhood: Odd


GOOD = HEAD + "tail_weight: 0.7\nlr: 3e-4\nlora_rank: 4\nkernel: 0\nneighborhood: 3\nother: 1\n"


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
        ("neighborhood: 3", "neighborhood: 2", r"neighborhood: must be odd"),
        ("lora_rank: 4\n", "", r"lora_rank: the key is missing"),
        ("task: t1", "task: t9", r"classes\.nut\.task: 't9' is not listed; add it to later_tasks"),
        ("later_tasks: [t1]", "later_tasks: [t1, t2]", r"no product has task \['t2'\]"),
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
