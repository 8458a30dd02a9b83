"""Results as tables of text: Markdown for the terminal and the README, HTML in the report."""

import re
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

ACCURACY = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro", "routing_accuracy", "open_set_auroc")
ALARMS = ("precision", "recall", "f1", "rejected_normal", "rejected_defective", "unknown_rejected")
THRESHOLDS = {
    "false_alarm_rate_own_expert": "false alarm rate",
    "recall_own_expert": "recall",
    "recall_at_alarm_rate_on_test_own_expert": "recall at that rate on the test",
    "marked_normal_own_expert": "normal images with a marked pixel",
    "pixel_f1_own_expert": "pixel F1",
    "pixel_best_f1_on_test_own_expert": "pixel best F1 on the test",
}
COMPARED = ("image_auroc", "pixel_ap", "aupro", "f1", "false_alarm_rate")
PROBED = ("probe_image_auroc", "test_image_auroc", "probe_pixel_ap", "test_pixel_ap")
ACRONYMS = {"auroc": "AUROC", "ap": "AP", "aupro": "AUPRO", "f1": "F1"}


@dataclass(frozen=True)
class Table:
    """A table whose cells are text.

    Attributes:
        header: names of the C columns.
        rows: lines of C cells each; the first cell names the line.
    """

    header: list[str]
    rows: list[list[str]]

    @property
    def text_columns(self) -> set[int]:
        """Numbers of the columns that hold words: the first, and those with a cell that begins with a letter."""
        words = {column for row in self.rows for column, text in enumerate(row) if text[:1].isalpha()}
        return words | {0}

    def markdown(self) -> str:
        """The table in GitHub's Markdown; no character of a cell ends it, breaks its line or begins a tag."""
        header, *rows = ([_escaped(text) for text in line] for line in [self.header, *self.rows])
        return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _escaped(text: str) -> str:
    # An even number of backslashes before the one that escapes, so that none of them takes it away.
    return re.sub(r"(\\*)([|<&])", r"\1\1\\\2", " ".join(text.splitlines()))


def cell(value: float | None) -> str:
    """A number as the tables show it.

    Args:
        value: a metric; None if undefined.

    Returns:
        Three decimals, or a dash for what is undefined.
    """
    return "–" if value is None else f"{value:.3f}"


def title(key: str) -> str:
    """The name of a metric in words.

    Args:
        key: its name in metrics/*.json, such as pixel_ap.

    Returns:
        Words with acronyms in capitals, such as pixel AP.
    """
    return " ".join(ACRONYMS.get(word, word) for word in key.split("_"))


def accuracy_table(classes: dict[str, Any], summary: dict[str, Any]) -> Table:
    """How well images and pixels are ranked and images routed, the product not given.

    Args:
        classes: content of metrics/classes.json.
        summary: content of metrics/summary.json.

    Returns:
        A line per product and one of their means, a column per metric of `ACCURACY`.
    """
    rows = [[product, *_cells(metrics, ACCURACY)] for product, metrics in [*classes.items(), ("mean", summary)]]
    return Table(["product", *map(title, ACCURACY)], rows)


def alarms_table(classes: dict[str, Any], summary: dict[str, Any]) -> Table:
    """Promised and realized false alarms, and what the threshold finds.

    Args:
        classes: content of metrics/classes.json.
        summary: content of metrics/summary.json.

    Returns:
        A line per product and one of their means; shares of images, from 0 to 1.
    """
    rows = []
    for product, metrics in classes.items():
        promised, realized = f"{metrics['alarm_rate']:g}", cell(metrics["false_alarm_rate"])
        interval = f"{cell(metrics['false_alarm_low'])} to {cell(metrics['false_alarm_high'])}"
        rows.append([product, promised, realized, interval, *_cells(metrics, ALARMS)])
    promised, realized = f"{summary['calibration']['target']:g}", cell(summary["false_alarm_rate"])
    rows.append(["mean", promised, realized, "", *_cells(summary, ALARMS)])
    return Table(["product", "target", "false alarm rate", "95 % interval", *map(title, ALARMS)], rows)


def feedback_table(classes: dict[str, Any]) -> Table:
    """How images were judged that were labeled after their product was learned.

    Args:
        classes: content of metrics/classes.json.

    Returns:
        A line per product that has such images; shares from 0 to 1.
    """
    keys = ("feedback_false_alarm_rate", "feedback_recall")
    labeled = {product: metrics for product, metrics in classes.items() if "feedback_images" in metrics}
    rows = [[name, f"{own['feedback_images']:.0f}", *_cells(own, keys)] for name, own in labeled.items()]
    return Table(["product", "images", "false alarm rate", "recall"], rows)


def thresholds_table(classes: dict[str, Any], summary: dict[str, Any]) -> Table:
    """What the thresholds find, each product given, beside what thresholds set on the test labels could find.

    Args:
        classes: content of metrics/classes.json.
        summary: content of metrics/summary.json.

    Returns:
        A line per product and one of their means; shares from 0 to 1.
    """
    rows = [
        [product, *_cells(metrics, tuple(THRESHOLDS))] for product, metrics in [*classes.items(), ("mean", summary)]
    ]
    return Table(["product", *THRESHOLDS.values()], rows)


def continual_table(summary: dict[str, Any]) -> Table:
    """Average incremental metric, backward transfer and forgetting.

    Args:
        summary: content of metrics/summary.json.

    Returns:
        A line per metric and figure: its total, what the own experts account for (and how that is known), and what
        routing adds.
    """
    parts = ("total", "own_expert", "routing")
    rows = [
        [title(metric), title(figure), *_cells(account, parts)]
        for metric, figures in summary["continual"].items()
        for figure, account in figures.items()
    ]
    own = f"own experts ({summary['own_experts_after_each_task']})"
    return Table(["metric", "figure", "total", own, "routing"], rows)


def baselines_table(summary: dict[str, Any], baselines: dict[str, Any]) -> Table:
    """The flow beside its baselines, means over the products.

    Args:
        summary: content of metrics/summary.json.
        baselines: content of metrics/baselines.json.

    Returns:
        A line per method, a column per metric of `COMPARED`.
    """
    methods = {"flow": summary, **{baseline: results["summary"] for baseline, results in baselines.items()}}
    header = ["method", *(f"{title(key)}, mean" for key in COMPARED)]
    return Table(header, [[method, *_cells(metrics, COMPARED)] for method, metrics in methods.items()])


def baselines_by_product_table(classes: dict[str, Any], baselines: dict[str, Any], metric: str) -> Table:
    """One metric of the flow and of its baselines, product by product.

    Args:
        classes: content of metrics/classes.json.
        baselines: content of metrics/baselines.json.
        metric: a metric of both.

    Returns:
        A line per method, a column per product.
    """
    methods = {"flow": classes, **{baseline: results["classes"] for baseline, results in baselines.items()}}
    rows = [
        [method, *(cell(by_product[product][metric]) for product in classes)] for method, by_product in methods.items()
    ]
    return Table([title(metric), *classes], rows)


def probe_table(probe: dict[str, Any]) -> Table:
    """What the probe says of every score and baseline beside what the test says, means over the products.

    Args:
        probe: content of metrics/probe.json.

    Returns:
        A line per candidate, a column per value of `PROBED`.
    """
    rows = []
    for candidate in next(iter(probe.values()))["candidates"]:  # every product has the same
        by_product = [weighed["candidates"][candidate] for weighed in probe.values()]
        defined = [[metrics[key] for metrics in by_product if metrics[key] is not None] for key in PROBED]
        rows.append([candidate, *(cell(sum(numbers) / len(numbers) if numbers else None) for numbers in defined)])
    return Table(["candidate, mean", *map(title, PROBED)], rows)


def judged_table(probe: dict[str, Any]) -> Table:
    """What each product's images are judged by; with `score: probe` its own probe chose it.

    Args:
        probe: content of metrics/probe.json.

    Returns:
        A line per product with the name of a score.
    """
    return Table(["product", "images judged by"], [[name, weighed["judged_by"]] for name, weighed in probe.items()])


def agreement_table(probe: dict[str, Any]) -> Table:
    """How well the probe ranks the candidates, and what following it costs.

    Args:
        probe: content of metrics/probe.json.

    Returns:
        A line per product and metric for which the probe chooses a candidate.
    """
    rows = []
    for product, weighed in probe.items():
        for metric, choice in weighed["agreement"].items():
            if choice["chosen"] is not None:
                numbers = [cell(choice["spearman"]), choice["chosen"], choice["best"], cell(choice["cost"])]
                rows.append([product, title(metric), *numbers])
    header = ["product", "metric", "rank correlation", "first by the probe", "best on the test", "cost of the choice"]
    return Table(header, rows)


def costs_table(costs: dict[str, Any]) -> Table:
    """What each product cost.

    Args:
        costs: "products" of metrics/costs.json.

    Returns:
        A line per product: seconds, megabytes, parameters and peak memory in gigabytes; a dash where a stage's entry
        is missing.
    """
    rows = []
    for product, cost in costs.items():
        units = [(cost["seconds"], 1, ",.0f"), (cost["bytes"], 1e6, ",.1f"), (cost["parameters"], 1, ",.0f")]
        units.append((cost["peak_memory_bytes"], 1e9, ",.2f"))
        rows.append([product, *("–" if value is None else format(value / unit, style) for value, unit, style in units)])
    return Table(["product", "seconds", "MB written", "parameters", "peak memory in GB"], rows)


def stage_costs_table(stages: dict[str, Any]) -> Table:
    """Where the time went.

    Args:
        stages: "stages" of metrics/costs.json.

    Returns:
        A line per stage: runs, seconds of all and of the longest, megabytes, and the greatest peak memory in gigabytes.
    """
    rows = []
    for stage, runs in stages.items():
        seconds = [run["seconds"] for run in runs.values()]
        size, peak = sum(run["bytes"] for run in runs.values()), max(run["peak_memory_bytes"] for run in runs.values())
        times = [f"{sum(seconds):.1f}", f"{max(seconds):.1f}"]
        rows.append([stage, str(len(runs)), *times, f"{size / 1e6:.1f}", f"{peak / 1e9:.2f}"])
    return Table(["stage", "runs", "seconds", "longest run", "MB written", "peak memory in GB"], rows)


def _cells(metrics: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    return [cell(metrics[key]) for key in keys]
