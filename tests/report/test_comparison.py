"""Methods beside each other: every number lands in its order's and method's line, and in its product's column."""

from moleflow.protocols.presets import PRESETS
from moleflow.report.comparison import Experiment, comparison_table, setting_name


def experiment(first, second, baseline, params=PRESETS["lite0"], order=("bolt", "nut"), commit=""):
    values = {"bolt": first, "nut": second}
    flow = {product: {"aupro": values[product]} for product in order}
    return Experiment(params, {"flow": flow, "knn": {product: {"aupro": baseline} for product in order}}, commit)


def test_a_setting_is_named_by_its_preset():
    as_dvc_says = {**PRESETS["original"], "layers": "[1, 2, 3]", "couplings": 6.0, "embed_dim": 176.0}
    assert setting_name(as_dvc_says) == "original"
    assert setting_name({**PRESETS["lite0"], "grad_clip": 1.0}) == "lite0"
    assert setting_name({**PRESETS["lite0"], "couplings": 99}) == "other"


def test_seeds_are_averaged_and_orders_and_methods_kept_apart(unpadded):
    made = comparison_table(
        [
            experiment(0.5, None, 0.1),
            experiment(0.7, None, 0.1),
            experiment(0.9, 0.3, 0.2, order=("nut", "bolt")),
            experiment(0.4, 0.4, 0.1, params=PRESETS["original"]),
        ],
        "aupro",
    )
    assert unpadded(made) == [
        "| first product | AUPRO | seeds | bolt | nut | mean |",
        "| --- | --- | --- | --- | --- | --- |",
        "| bolt | flow, lite0 | 2 | 0.600 ± 0.141 | – | 0.600 ± 0.141 |",
        "| bolt | flow, original | 1 | 0.400 | 0.400 | 0.400 |",
        "| bolt | knn | 2 | 0.100 ± 0.000 | 0.100 ± 0.000 | 0.100 ± 0.000 |",
        "| nut | flow, lite0 | 1 | 0.900 | 0.300 | 0.600 |",
        "| nut | knn | 1 | 0.200 | 0.200 | 0.200 |",
    ]


def test_what_is_averaged_differs_in_nothing_but_seed_and_order(unpadded):
    """The two of `lite0` route differently; knn minds only the second."""
    one, two = ({**PRESETS["lite0"], "router": router} for router in ("neighbors", "oracle"))
    three = {**PRESETS["lite0"], "router": "neighbors", "alarm_rate": 0.1}
    made = comparison_table(
        [
            experiment(0.5, 0.5, 0.1, params={**one, "seed": 0, "baselines": "[knn]"}),
            experiment(0.7, 0.7, 0.1, params={**one, "seed": 1, "baselines": "[knn, pca]"}),
            experiment(0.6, 0.6, 0.1, params={**three, "seed": 0, "baselines": "[knn]"}),
            experiment(0.2, 0.2, 0.3, params={**two, "seed": 0, "baselines": "[knn]"}),
        ],
        "aupro",
    )
    assert [line.split(" | ")[1:4] for line in unpadded(made)[2:]] == [
        ["flow, lite0, alarm_rate=0.1, router=neighbors", "1", "0.600"],
        ["flow, lite0, alarm_rate=None, router=neighbors", "2", "0.600 ± 0.141"],
        ["flow, lite0, alarm_rate=None, router=oracle", "1", "0.200"],
        ["knn, router=neighbors", "2", "0.100 ± 0.000"],
        ["knn, router=oracle", "1", "0.300"],
    ]


def test_of_many_parameters_the_name_says_a_few_that_tell_settings_apart(unpadded):
    """`kappa` and `mu` do not; without `zoom` two settings would have one name."""
    few = {"alpha": 1, "beta": 1, "gamma": 1, "kappa": 1, "mu": 1, "zoom": 1}
    many = {"alpha": 2, "beta": 2, "gamma": 2, "kappa": 2, "mu": 2, "zoom": 1}
    made = comparison_table(
        [
            experiment(number / 10, None, 0.1, params=PRESETS["lite0"] | params)
            for number, params in enumerate((few, many, many | {"zoom": 2}))
        ],
        "aupro",
    )
    assert [line.split(" | ")[1] for line in unpadded(made)[2:5]] == [
        "flow, lite0, alpha=1, beta=1, gamma=1, zoom=1 and 2 more",
        "flow, lite0, alpha=2, beta=2, gamma=2, zoom=1 and 2 more",
        "flow, lite0, alpha=2, beta=2, gamma=2, zoom=2 and 2 more",
    ]


def test_experiments_of_several_commits_are_kept_apart(unpadded):
    made = comparison_table([experiment(0.5, 0.5, 0.1, commit="v1"), experiment(0.7, 0.7, 0.1, commit="v2")], "aupro")
    names = [line.split(" | ")[1] for line in unpadded(made)[2:]]
    assert names == ["flow, lite0, v1", "flow, lite0, v2", "knn, v1", "knn, v2"]
