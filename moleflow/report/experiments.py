"""Mean ± standard deviation over experiments that differ only in seed or order, from DVC's own records."""

import json
from collections import defaultdict
from typing import Any

import dvc.api
from dvc.exceptions import DvcException
from dvc.scm import SCMError

from moleflow.config.errors import MoleflowError
from moleflow.report.comparison import REPEATED, Experiment, spread
from moleflow.report.tables import Table

SUMMARY = "metrics/summary.json"
METRICS = ("metrics/classes.json", "metrics/baselines.json")


class ExperimentsError(MoleflowError):
    """There is nothing to make a table of."""


def repetition_table(rows: list[dict[str, Any]], keys: list[str], metrics: list[str]) -> str:
    """One line per setting: its parameters, the number of experiments, and mean ± std of the metrics.

    Args:
        rows: one experiment each: parameters and metrics by name, as `dvc.api.exp_show` returns them.
        keys: names of the parameters, all of params.yaml.
        metrics: names of the metrics to show.

    Returns:
        A Markdown table. Experiments belong together if all parameters but `REPEATED` are equal; a
        line names those that differ between the lines. The standard deviation is that of the sample
        (n − 1), and missing for a single experiment.

    Raises:
        ExperimentsError: no experiment has the metrics.
    """
    rows = [row for row in rows if all(_metric(row, metric) is not None for metric in metrics)]
    if not rows:
        raise ExperimentsError(
            f"no finished experiment has {', '.join(metrics)}; "
            "run `dvc exp run --queue -S seed=0,1,2` and `dvc queue start`, or see the names in metrics/summary.json"
        )
    setting = [key for key in keys if key not in REPEATED]
    varied = [key for key in setting if len({str(row.get(key)) for row in rows}) > 1]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(str(row.get(key)) for key in setting)].append(row)
    lines = []
    for group in groups.values():
        spreads = [spread([float(_metric(row, metric)) for row in group]) for metric in metrics]
        lines.append([*(_value(group[0].get(key)) for key in varied), str(len(group)), *spreads])
    return Table([*varied, "experiments", *metrics], sorted(lines)).markdown()


def _metric(row: dict[str, Any], metric: str) -> Any:
    return row.get(f"{SUMMARY}:{metric}", row.get(metric))


def read_experiments(rev: str) -> tuple[list[dict[str, Any]], list[str]]:
    """All finished experiments derived from a commit, and the names of their parameters.

    Source: https://dvc.org/doc/api-reference/exp_show

    Args:
        rev: a commit, branch or tag.

    Returns:
        Per experiment its parameters and metrics by name; and which of the names are parameters.

    Raises:
        ExperimentsError: there is no such commit, or no repository.
    """
    unfinished = ("Queued", "Running", "Failed")  # DVC shows the metrics of the commit for them
    try:
        shown = [row for row in dvc.api.exp_show(revs=rev) if row["typ"].startswith("branch")]
        params = dvc.api.params_show()
    except (DvcException, SCMError) as error:
        raise ExperimentsError(f"{rev}: {error}; name a commit, branch or tag of this repository by --rev") from error
    rows = [plainly_named(row) for row in shown if row["State"] not in unfinished]
    sections = tuple(f"{key}." for key, value in params.items() if isinstance(value, dict))
    keys = dict.fromkeys(key for row in rows for key in row if key in params or key.startswith(sections))
    return rows, list(keys)


def plainly_named(row: dict[str, Any]) -> dict[str, Any]:
    """Gives a parameter its plain name where a metric has the same one, as `precision`.

    DVC tells the two apart by their files, as in "params.yaml:precision"; the metric keeps that name.

    Args:
        row: one experiment, as `dvc.api.exp_show` returns it.

    Returns:
        The same with parameters by their keys.
    """
    return {column.removeprefix("params.yaml:"): value for column, value in row.items()}


def read_comparable(revs: list[str]) -> list[Experiment]:
    """All finished experiments derived from some commits, with the metrics of every product and method.

    Args:
        revs: commits, branches or tags.

    Returns:
        The experiments; they name their commit where there are several.

    Raises:
        ExperimentsError: a commit has none.
    """
    experiments = []
    for rev in dict.fromkeys(revs):
        rows, keys = read_experiments(rev)
        if not rows:
            raise ExperimentsError(
                f"{rev} has no finished experiment; run `dvc exp run`, or name their commit by --rev"
            )
        for row in rows:
            flow, baselines = (json.loads(dvc.api.read(path, rev=row["rev"])) for path in METRICS)
            methods = {"flow": flow, **{baseline: results["classes"] for baseline, results in baselines.items()}}
            params = {key: row.get(key) for key in keys}
            experiments.append(Experiment(params, methods, rev if len(revs) > 1 else ""))
    return experiments


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
