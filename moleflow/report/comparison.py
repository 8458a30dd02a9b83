"""Methods beside each other, product by product, over the experiments of one or several commits."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from moleflow.evaluation.metrics import mean_of_defined
from moleflow.protocols.presets import PRESETS
from moleflow.report.tables import Table, cell, title


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
    """One line per order of arrival and method, mean ± std over the seeds, product by product.

    Args:
        experiments: experiments on the same products.
        metric: name of a metric in metrics/classes.json.

    Returns:
        A Markdown table. An order is named by the product that comes first, the flow by the preset that its
        parameters agree with, and every method by its commit where there are several. The standard deviation is
        that of the sample, and missing for one seed.
    """
    groups: dict[tuple[str, str], list[dict[str, float | None]]] = defaultdict(list)
    for experiment in experiments:
        setting = setting_name(experiment.params)
        for method, products in experiment.methods.items():
            name = f"flow, {setting}" if method == "flow" else method
            name += f", {experiment.commit}" if experiment.commit else ""
            run = {product: metrics.get(metric) for product, metrics in products.items()}
            groups[next(iter(products)), name].append(run)
    columns = sorted({product for runs in groups.values() for run in runs for product in run})
    rows = []
    for (first, name), runs in sorted(groups.items()):
        means = [mean_of_defined(run.values()) for run in runs]
        cells = [spread(by_seed) for by_seed in (*([run.get(product) for run in runs] for product in columns), means)]
        rows.append([first, name, str(len(runs)), *cells])
    return Table(["first product", title(metric), "seeds", *columns, "mean"], rows).markdown()


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
