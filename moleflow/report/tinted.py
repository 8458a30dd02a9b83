"""Tables whose cells are tinted by their values: the matrices R and the confusion of the router."""

from collections import Counter
from dataclasses import dataclass

from moleflow.report.tables import title

Rows = list[dict[str, str]]  # lines of a csv file, every value as it is written there


@dataclass(frozen=True)
class Tint:
    """A cell whose background says how large its value is.

    Attributes:
        text: the value.
        share: from 0 (no tint) to 1.
        note: small print below the value, if any.
    """

    text: str
    share: float
    note: str = ""


@dataclass(frozen=True)
class TintedTable:
    """A table of tinted cells.

    Attributes:
        header: names of the C columns.
        rows: by their names lines of C − 1 cells; None where there is no value.
    """

    header: list[str]
    rows: dict[str, list[Tint | None]]


def confusion(names: list[str], routes: Rows) -> TintedTable:
    """Where the test images went.

    Args:
        names: the products in order of arrival.
        routes: rows of metrics/plots/confusion.csv, one per image.

    Returns:
        Counts of images by their product (down) and by where they were sent (across).
    """
    counts = Counter((row["product"], row["routed"]) for row in routes)
    totals = Counter(row["product"] for row in routes)
    targets = [*names, "unknown"]
    rows: dict[str, list[Tint | None]] = {
        product: [Tint(str(counts[product, to]), counts[product, to] / max(totals[product], 1)) for to in targets]
        for product in names
    }
    return TintedTable(["product, routed to", *targets], rows)


def matrices(metrics: list[str], matrix: Rows) -> dict[str, TintedTable | None]:
    """The matrices R: metrics on each product after each task.

    Args:
        metrics: their names.
        matrix: rows of metrics/plots/matrix.csv.

    Returns:
        By title of the metric tasks downwards and products across, in order of arrival; None if the metric is
        undefined for all products.
    """
    made: dict[str, TintedTable | None] = {}
    for metric in metrics:
        rows = [row for row in matrix if row["metric"] == metric]
        made[title(metric)] = _matrix(rows, 0.5 if metric == "image_auroc" else 0.0) if rows else None
    return made


def _matrix(rows: Rows, least: float) -> TintedTable:
    """What a product lost since its best is written below the value."""
    routed = {(row["after"], row["product"]): float(row["routed"]) for row in rows}
    products = list(dict.fromkeys(row["product"] for row in rows))
    best: dict[str, float] = {}
    lines: dict[str, list[Tint | None]] = {}
    for task in dict.fromkeys(row["after"] for row in rows):
        line = lines[f"after {task}"] = []
        for product in products:
            value = routed.get((task, product))
            if value is None:
                line.append(None)
                continue
            best[product] = max(value, best.get(product, value))
            loss = best[product] - value
            note = f"−{loss:.3f}" if loss >= 5e-4 else ""
            share = max((value - least) / (1 - least), 0.0)
            line.append(Tint(f"{value:.3f}", share, note))
    return TintedTable(["", *products], lines)
