"""Methods beside each other, product by product, over the experiments of one or several commits."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from moleflow.evaluation.metrics import mean_of_defined
from moleflow.protocols.presets import PRESETS
from moleflow.report.tables import Table, cell, title

REPEATED = ("seed", "first_task", "later_tasks")  # what repetitions of one setting differ in
NAMED = 3  # parameters in a setting's name, beside those without which two settings would have one name

Run = dict[str, float | None]  # a metric by product
Setting = tuple[tuple[str, str], ...]  # parameters and their values, as text


@dataclass(frozen=True)
class Experiment:
    """A finished experiment.

    Attributes:
        params: parameters by name, as `dvc.api.exp_show` returns them.
        methods: per method its metrics by product, with products in order of arrival; "flow" is the first.
        commit: what to call the commit it started from; empty where all started from one.
    """

    params: dict[str, Any]
    methods: dict[str, dict[str, dict[str, float | None]]]
    commit: str = ""


def setting_name(params: dict[str, Any]) -> str:
    """What to call the parameters of an experiment.

    Args:
        params: parameters by name.

    Returns:
        The presets that they agree with, "other" if none.
    """
    names = [name for name, preset in PRESETS.items() if all(_equal(params.get(key), preset[key]) for key in preset)]
    return " ".join(names) or "other"


def _equal(told: Any, value: Any) -> bool:
    return bool(told == value) or str(told) == str(value)  # DVC tells 8 as 8.0 and a list as text


def comparison_table(experiments: list[Experiment], metric: str) -> str:
    """One line per order of arrival, method and setting, mean ± std over the seeds, product by product.

    Args:
        experiments: experiments on the same products.
        metric: name of a metric in metrics/classes.json.

    Returns:
        A Markdown table. An order is named by the product that comes first, the flow by the preset that its
        parameters agree with, every method by its commit where there are several, and by the first `NAMED` of the
        parameters that its settings differ in, with those further ones that tell settings apart, and how many more
        there are; `REPEATED` and `baselines` make no setting. A baseline has one line for settings that it does not
        mind. The standard deviation is that of the sample, and missing for one seed.
    """
    groups: dict[tuple[str, str], dict[Setting, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for experiment in experiments:
        preset, setting = setting_name(experiment.params), _setting(experiment.params)
        for method, products in experiment.methods.items():
            name = f"flow, {preset}" if method == "flow" else method
            name += f", {experiment.commit}" if experiment.commit else ""
            run = {product: metrics.get(metric) for product, metrics in products.items()}
            groups[next(iter(products)), name][setting].append(run)
    lines = [
        (first, name if not differing else f"{name}, {differing}", runs)
        for (first, name), settings in sorted(groups.items())
        for differing, runs in _told_apart(settings if name.startswith("flow, ") else _minded(settings))
    ]
    columns = sorted({product for *_, runs in lines for run in runs for product in run})
    rows = []
    for first, name, runs in lines:
        means = [mean_of_defined(run.values()) for run in runs]
        cells = [spread(by_seed) for by_seed in (*([run.get(product) for run in runs] for product in columns), means)]
        rows.append([first, name, str(len(runs)), *cells])
    return Table(["first product", title(metric), "seeds", *columns, "mean"], rows).markdown()


def _setting(params: dict[str, Any]) -> Setting:
    return tuple((key, str(params[key])) for key in sorted(params) if key not in (*REPEATED, "baselines"))


def _minded(settings: dict[Setting, list[Run]]) -> dict[Setting, list[Run]]:
    """Without settings whose every run is another's too, as a baseline's where parameters of the flow differ."""
    kept: dict[Setting, list[Run]] = {}
    for setting, runs in sorted(settings.items(), key=lambda item: -len(item[1])):
        if not any(all(run in others for run in runs) for others in kept.values()):
            kept[setting] = runs
    return kept


def _told_apart(settings: dict[Setting, list[Run]]) -> list[tuple[str, list[Run]]]:
    """Runs by parameters and values that tell the settings apart, as text; empty for a single setting."""
    values = [dict(setting) for setting in settings]
    varied = [key for key in sorted({*chain(*values)}) if _distinct(values, [key]) > 1]
    named = varied[:NAMED]
    for key in varied[NAMED:]:
        if _distinct(values, [*named, key]) > _distinct(values, named):
            named.append(key)
    more = f" and {len(varied) - len(named)} more" if len(varied) > len(named) else ""
    names = [", ".join(f"{key}={each.get(key)}" for key in named) + more for each in values]
    return sorted(zip(names, settings.values(), strict=True), key=lambda line: line[0])


def _distinct(values: list[dict[str, str]], keys: list[str]) -> int:
    """How many settings some keys tell apart."""
    return len({tuple(each.get(key) for key in keys) for each in values})


def spread(values: list[float | None]) -> str:
    """Summarizes the values of several seeds.

    Args:
        values: a metric by seed; None where it is undefined.

    Returns:
        Mean ± standard deviation of the sample, of what is defined; the mean alone for one value, a dash for none.
    """
    defined = [value for value in values if value is not None]
    if not defined:
        return cell(None)
    digits = ",.0f" if max(defined) >= 100 else ".3f"  # seconds and bytes, or shares
    mean = format(np.mean(defined), digits)
    return mean if len(defined) == 1 else f"{mean} ± {format(np.std(defined, ddof=1), digits)}"
