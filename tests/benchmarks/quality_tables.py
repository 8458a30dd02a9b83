"""The tables of `make quality`, from the metrics of its runs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from moleflow.report.comparison import spread
from moleflow.report.tables import Table, cell

Classes = dict[str, dict[str, Any]]

METHODS = {  # scores of one run and its baselines; the presets flow and memory are scores of the default's flow
    "default": "probe",
    "flow": "nll",
    "memory": "memory",
    "knn": "knn",
    "padim": "padim",
    "pca": "pca",
}
APART = ("narrow", "deeppcb")  # products that stand beside the means


def of_default(candidates: dict[str, Any]) -> dict[str, Any]:
    """Candidates with the default's score among them, which was `combined` once."""
    return {"probe": candidates["combined"]} | candidates


def over_seeds(values: list[float | None]) -> str:
    """Mean ± standard deviation; what no seed changes in three digits stands without ±."""
    return spread(values).removesuffix(" ± 0.000")


def table(columns: dict[str, Callable[[str], list[float | None]]], names: list[str]) -> str:
    """A line per product and one of their means; a column gives a product's values, one per seed."""
    rows = [[name, *(over_seeds(values(name)) for values in columns.values())] for name in names]
    means = []
    for values in columns.values():
        found = [value for name in names for value in values(name) if value is not None]
        means.append(cell(float(np.mean(found)) if found else None))
    return Table(["product", *columns], [*rows, ["mean", *means]]).markdown()


def detection(probes: list[dict[str, Any]], original: Classes, metric: str) -> str:
    """Every method on every product, product given, mean ± standard deviation over seeds.

    Args:
        probes: content of metrics/probe.json, one per seed.
        original: metrics by product of the preset `original`, one seed.
        metric: image_auroc, pixel_ap or aupro.

    Returns:
        Markdown, with the means over the products that are not in `APART`.
    """
    rows = []
    means: dict[str, list[list[float]]] = {method: [[] for _ in probes] for method in METHODS}
    alone: list[float] = []
    for product in probes[0]:
        row = [product]
        for method, candidate in METHODS.items():
            values = [of_default(probe[product]["candidates"])[candidate][f"test_{metric}"] for probe in probes]
            row.append(over_seeds(values))
            if None not in values and product not in APART:
                for seed, value in enumerate(values):
                    means[method][seed].append(value)
        value = original.get(product, {}).get(f"{metric}_own_expert")
        alone += [value] if value is not None and product not in APART else []
        rows.append([*row, over_seeds([value])])
    last = [over_seeds([float(np.mean(seed)) for seed in values]) for values in means.values()]
    rows.append([f"mean without {' and '.join(APART)}", *last, over_seeds([float(np.mean(alone)) if alone else None])])
    return Table(["product", *METHODS, "original"], rows).markdown()


def means_by_run(runs: dict[str, Classes]) -> str:
    """Means of every seed and order, so that one can be held against the others."""
    rows = []
    for name, classes in runs.items():
        row = [name]
        for metric in ("image_auroc", "pixel_ap", "aupro"):
            values = [classes[product].get(f"{metric}_own_expert") for product in classes if product not in APART]
            defined = [value for value in values if value is not None]
            row.append(cell(float(np.mean(defined)) if defined else None))
        rows.append(row)
    return Table(["run", "image AUROC", "pixel AP", "AUPRO"], rows).markdown()


def left_out_choices(probes: list[dict[str, Any]], metric: str) -> str:
    """For each product the score or baseline that is best on the mean of the others, and what it is worth here.

    Args:
        probes: content of metrics/probe.json, one per seed.
        metric: image_auroc or pixel_ap.

    Returns:
        Markdown, with the best candidate of the product itself beside it.
    """
    values: dict[str, dict[str, float]] = {}
    for product in probes[0]:
        found = [of_default(probe[product]["candidates"]) for probe in probes]
        means = {name: [each[name][f"test_{metric}"] for each in found] for name in found[0]}
        values[product] = {name: float(np.mean(each)) for name, each in means.items() if None not in each}
    values = {product: candidates for product, candidates in values.items() if candidates}
    rows = []
    for product, own in values.items():
        others = [candidates for other, candidates in values.items() if other != product]
        chosen = max(own, key=lambda name: np.mean([candidates[name] for candidates in others]))
        best = max(own, key=lambda name: own[name])
        rows.append([product, chosen, cell(own[chosen]), best, cell(own[best])])
    return Table(["product", "chosen on the others", metric, "best here", metric], rows).markdown()


def followed_probe(probes: list[dict[str, Any]], metric: str) -> str:
    """What following the probe is worth over all scores and baselines, beside always taking the default.

    Args:
        probes: content of metrics/probe.json, one per seed.
        metric: image_auroc or pixel_ap.

    Returns:
        Markdown, with the means over the products that are not "narrow".
    """
    rows, sums = [], []
    for product in probes[0]:
        runs = [of_default(probe[product]["candidates"]) for probe in probes]
        keys = (f"probe_{metric}", f"test_{metric}")
        known = [{name: [each[key] for key in keys] for name, each in run.items()} for run in runs]
        known = [{name: pair for name, pair in run.items() if None not in pair} for run in known]
        if not all(known):
            continue
        chosen = [max(run, key=lambda name, run=run: run[name][0]) for run in known]
        values = [
            float(np.mean([run[name][1] for run, name in zip(known, names, strict=True)]))
            for names in (chosen, ["probe"] * len(known))
        ]
        values.append(float(np.mean([max(pair[1] for pair in run.values()) for run in known])))
        rows.append([product, ", ".join(dict.fromkeys(chosen)), *map(cell, values)])
        sums += [values] if product != "narrow" else []
    rows.append(["mean without narrow", "", *map(cell, np.mean(sums, axis=0).tolist())])
    return Table(["product", "first by the probe", "its test value", "the default", "the best"], rows).markdown()
