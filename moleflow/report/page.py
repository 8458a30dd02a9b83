"""The report: all numbers of a commit as one HTML page that loads nothing from elsewhere.

Here are the values; the folder templates/ holds the markup and escapes every value.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from moleflow.report import tables
from moleflow.report.card import Card
from moleflow.report.cases import Cases
from moleflow.report.histogram import Histogram, histogram
from moleflow.report.results import PROMISED
from moleflow.report.tables import Table, cell, title
from moleflow.report.tinted import Rows, confusion, matrices

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
MISROUTED = 50  # rows of the table of misrouted images

COLUMNS = {
    "image_auroc": "Image AUROC",
    "image_ap": "Image AP",
    "pixel_ap": "Pixel AP",
    "aupro": "AUPRO",
    "f1": "F1",
    "false_alarm_rate": "False alarms",
    "recall": "Recall",
    "routing_accuracy": "Routing",
    "rejected_normal": "Rejected, normal",
    "rejected_defective": "Rejected, defective",
}
OPEN_SET = {
    "rejected_normal": "normal, wrongly rejected",
    "rejected_defective": "defective, wrongly rejected",
    "unknown_rejected": "rejected while the product is unknown",
    "open_set_auroc": "open set AUROC",
}


@dataclass(frozen=True)
class Metric:
    """A metric of a product.

    Attributes:
        text: the value, or a dash.
        order: the value that its column is sorted by; empty if undefined.
        reason: why it is undefined, if it is.
        interval: the 95 % interval, if it has one.
        above: whether the interval lies wholly above what was promised.
    """

    text: str
    order: str
    reason: str = ""
    interval: str = ""
    above: bool = False


@dataclass(frozen=True)
class Product:
    """A row of the table of products, and what it opens into."""

    name: str
    metrics: list[Metric]
    histogram: Histogram
    cases: Cases
    card: Card


def page(
    numbers: dict[str, Any],
    plots: dict[str, Rows],
    cases: dict[str, Cases],
    cards: dict[str, Card],
    *,
    params: str,
    commit: str,
) -> str:
    """The whole page.

    Args:
        numbers: content of the files in metrics/ by stem: summary, classes, baselines, probe.
        plots: rows of histogram, matrix, confusion and misrouted.
        cases: worst cases by product, in order of arrival.
        cards: what is said of each product.
        params: text of params.yaml.
        commit: which commit it was made from, in words.

    Returns:
        HTML.
    """
    summary, classes, probes = numbers["summary"], numbers["classes"], numbers["probe"]
    return TEMPLATES.get_template("page.html").render(
        commit=commit,
        headlines=_headlines(summary),
        target=_target(classes),
        promised=PROMISED[summary["alarm_for"]],
        columns=list(COLUMNS.values()),
        products=_products(classes, plots["histogram"], cases, cards),
        means=[cell(summary[key]) for key in COLUMNS],
        matrices=matrices(list(summary["continual"]), plots["matrix"]),
        continual=tables.continual_table(summary),
        baselines=_baselines(summary, classes, numbers["baselines"]),
        agreement=tables.agreement_table(probes),
        probes={product: _probe_tables(probe["candidates"]) for product, probe in probes.items()},
        confusion=confusion(list(classes), plots["confusion"]),
        misrouted_images=len(plots["misrouted"]),
        misrouted=_misrouted(plots["misrouted"][:MISROUTED]),
        open_set=_open_set(classes),
        params=params,
    )


def _headlines(summary: dict[str, Any]) -> dict[str, str]:
    calibration, account = summary["calibration"], summary["continual"]["image_auroc"]
    numbers = {
        "image AUROC": summary["image_auroc"],
        "pixel AP": summary["pixel_ap"],
        "AUPRO": summary["aupro"],
        "routing accuracy": summary["routing_accuracy"],
        "forgetting of image AUROC": account["forgetting"]["total"],
        f"mean gap to the false-alarm target {calibration['target']:g}, product given": calibration["mean_gap"],
    }
    return {name: cell(value) for name, value in numbers.items()}


def _target(classes: dict[str, Any]) -> str:
    """The promised rates of false alarms, in words."""
    rates = {product: f"{metrics['alarm_rate']:g}" for product, metrics in classes.items()}
    if len(set(rates.values())) == 1:
        return next(iter(rates.values()))
    return ", ".join(f"{rate} for {product}" for product, rate in rates.items())


def _products(
    classes: dict[str, Any], histograms: Rows, cases: dict[str, Cases], cards: dict[str, Card]
) -> list[Product]:
    products = []
    for product, metrics in classes.items():
        drawn = histogram([row for row in histograms if row["product"] == product])
        own = [_metric(metrics, key) for key in COLUMNS]
        products.append(Product(product, own, drawn, cases[product], cards[product]))
    return products


def _metric(metrics: dict[str, Any], key: str) -> Metric:
    value = metrics[key]
    if value is None:
        return Metric(cell(None), "", reason=metrics["undefined"].get(key, "undefined"))
    if key != "false_alarm_rate":
        return Metric(cell(value), f"{value:.6g}")
    low, high = metrics["false_alarm_low"], metrics["false_alarm_high"]
    above = low > metrics["alarm_rate"]
    return Metric(cell(value), f"{value:.6g}", interval=f"{cell(low)} to {cell(high)}", above=above)


def _baselines(summary: dict[str, Any], classes: dict[str, Any], baselines: dict[str, Any]) -> list[Table]:
    """The flow beside its baselines; nothing without any."""
    if not baselines:
        return []
    by_product = [tables.baselines_by_product_table(classes, baselines, metric) for metric in tables.COMPARED[:3]]
    return [tables.baselines_table(summary, baselines), *by_product]


def _probe_tables(candidates: dict[str, Any]) -> list[Table]:
    """How the probe weighs the candidates of one product, by kind of synthetic defect."""
    kinds = list(dict.fromkeys(kind for metrics in candidates.values() for kind in metrics["kinds"]))
    made = []
    for metric in ("image_auroc", "pixel_ap"):
        rows = []
        for candidate, metrics in candidates.items():
            by_kind = [metrics["kinds"].get(kind, {}).get(metric) for kind in kinds]
            rows.append([candidate, *map(cell, [*by_kind, metrics[f"probe_{metric}"], metrics[f"test_{metric}"]])])
        made.append(Table([title(metric), *kinds, "probe, mean", "test"], rows))
    return made


def _misrouted(rows: Rows) -> Table:
    header = ["product", "image", "routed to", "distance to its own", "to that one"]
    names, distances = ("product", "image", "routed"), ("distance_own", "distance_routed")
    return Table(
        header, [[*(row[key] for key in names), *(f"{float(row[key]):.1f}" for key in distances)] for row in rows]
    )


def _open_set(classes: dict[str, Any]) -> Table:
    rows = [[product, *(cell(metrics[key]) for key in OPEN_SET)] for product, metrics in classes.items()]
    return Table(["product", *OPEN_SET.values()], rows)
