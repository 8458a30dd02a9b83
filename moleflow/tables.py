"""Results as Markdown tables for a terminal, the README and the report."""

from typing import Any

ACCURACY = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro", "routing_accuracy", "open_set_auroc")
ALARMS = ("precision", "recall", "f1", "rejected_normal", "rejected_defective", "unknown_rejected")
RIVALS = ("image_auroc", "pixel_ap", "aupro", "f1", "false_alarm_rate")


def cell(value: float | None) -> str:
    """Three decimals, or a dash for what is undefined."""
    return "–" if value is None else f"{value:.3f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _title(name: str) -> str:
    return name.replace("_", " ")


def _by_product(columns: tuple[str, ...], classes: dict[str, Any], summary: dict[str, Any]) -> str:
    rows = [[name, *(cell(each[key]) for key in columns)] for name, each in [*classes.items(), ("mean", summary)]]
    return table(["product", *map(_title, columns)], rows)


def accuracy_table(classes: dict[str, Any], summary: dict[str, Any]) -> str:
    """Ranking of images and pixels, and routing, per product; the product is not given."""
    return _by_product(ACCURACY, classes, summary)


def alarms_table(classes: dict[str, Any], summary: dict[str, Any]) -> str:
    """Promised and realised false alarms with their interval, and what the threshold finds."""
    rows = []
    for name, each in [*classes.items(), ("mean", {**summary, "alarm_rate": summary["calibration"]["target"]})]:
        interval = f"{cell(each['false_alarm_low'])} to {cell(each['false_alarm_high'])}" if name != "mean" else ""
        row = [name, f"{each['alarm_rate']:g}", cell(each["false_alarm_rate"]), interval]
        rows.append(row + [cell(each[key]) for key in ALARMS])
    header = ["product", "target", "false alarm rate", "95 % interval", *map(_title, ALARMS)]
    return table(header, rows)


def continual_table(summary: dict[str, Any]) -> str:
    """Average incremental metric, backward transfer and forgetting, split into weights and routing."""
    rows = [
        [_title(metric), _title(figure), *(cell(account[part]) for part in ("total", "weights", "routing"))]
        for metric, figures in summary["continual"].items()
        for figure, account in figures.items()
    ]
    return table(["metric", "figure", "total", "own experts", "routing"], rows)


def rivals_table(summary: dict[str, Any], baselines: dict[str, Any]) -> str:
    """The flow beside its rivals, means over the products, and the image AUROC per product."""
    methods = {"flow": summary, **{name: each["summary"] for name, each in baselines.items()}}
    rows = [[name, *(cell(each[key]) for key in RIVALS)] for name, each in methods.items()]
    return table(["method", *(f"{_title(key)}, mean" for key in RIVALS)], rows)


def rivals_by_product_table(classes: dict[str, Any], baselines: dict[str, Any], metric: str) -> str:
    """One metric of the flow and of its rivals, product by product."""
    methods = {"flow": classes, **{name: each["classes"] for name, each in baselines.items()}}
    rows = [[name, *(cell(each[product][metric]) for product in classes)] for name, each in methods.items()]
    return table([_title(metric), *classes], rows)


PROBED = ("probe_image_auroc", "test_image_auroc", "probe_pixel_ap", "test_pixel_ap")


def probe_table(probe: dict[str, Any]) -> str:
    """What the probe says of every score member and rival beside the test's verdict, means over the products."""
    rows = []
    for candidate in next(iter(probe.values()))["candidates"]:
        products = [its["candidates"][candidate] for its in probe.values()]
        values = [[each[key] for each in products if each[key] is not None] for key in PROBED]
        rows.append([candidate, *(cell(sum(each) / len(each) if each else None) for each in values)])
    return table(["candidate, mean", *map(_title, PROBED)], rows)


def agreement_table(probe: dict[str, Any]) -> str:
    """How well the probe ranks the candidates, and what following it costs."""
    rows = []
    for product, its in probe.items():
        for metric, found in its["agreement"].items():
            if found["chosen"] is not None:
                numbers = [cell(found["spearman"]), found["chosen"], found["best"], cell(found["cost"])]
                rows.append([product, _title(metric), *numbers])
    header = ["product", "metric", "rank correlation", "chosen by the probe", "best on the test", "cost of the choice"]
    return table(header, rows)


def costs_table(costs: dict[str, Any]) -> str:
    """Seconds, megabytes, parameters and peak memory per product; a dash where a stage's entry is missing."""
    rows = []
    for name, each in costs.items():
        units = [(each["seconds"], 1, ",.0f"), (each["bytes"], 1e6, ",.1f"), (each["parameters"], 1, ",.0f")]
        units.append((each["peak_memory_bytes"], 1e9, ",.2f"))
        rows.append([name, *("–" if value is None else format(value / unit, style) for value, unit, style in units)])
    return table(["product", "seconds", "MB written", "parameters", "peak memory in GB"], rows)


def stage_costs_table(stages: dict[str, Any]) -> str:
    """Where the time went, stage by stage."""
    rows = []
    for stage, runs in stages.items():
        seconds = [run["seconds"] for run in runs.values()]
        size, peak = sum(run["bytes"] for run in runs.values()), max(run["peak_memory_bytes"] for run in runs.values())
        times = [f"{sum(seconds):.1f}", f"{max(seconds):.1f}"]
        rows.append([stage, str(len(runs)), *times, f"{size / 1e6:.1f}", f"{peak / 1e9:.2f}"])
    return table(["stage", "runs", "seconds", "longest run", "MB written", "peak memory in GB"], rows)


def results(metrics: dict[str, Any]) -> str:
    """All results of a commit.

    Args:
        metrics: content of the files in metrics/ by stem: summary, classes, baselines, probe, costs.
    """
    summary, classes, baselines = metrics["summary"], metrics["classes"], metrics["baselines"]
    parts = {
        "Accuracy, product not given": accuracy_table(classes, summary),
        "Alarms at the threshold from normal images alone": alarms_table(classes, summary),
        "Continual learning": continual_table(summary),
    }
    if baselines:
        parts["The flow and its rivals on the same features"] = "\n\n".join(
            [
                rivals_table(summary, baselines),
                *(rivals_by_product_table(classes, baselines, each) for each in ("image_auroc", "pixel_ap")),
            ]
        )
    parts["The probe: synthetic defects on held-out normals against the test"] = "\n\n".join(
        [agreement_table(metrics["probe"]), probe_table(metrics["probe"])]
    )
    parts["Cost of each product"] = costs_table(metrics["costs"]["products"])
    parts["Cost of each stage"] = stage_costs_table(metrics["costs"]["stages"])
    return "\n\n".join(f"### {title}\n\n{body}" for title, body in parts.items())
