"""The report: all numbers of a commit as one HTML page that loads nothing from elsewhere."""

import re
from collections import Counter
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from moleflow import tables
from moleflow.report_cases import histogram_svg

TEMPLATE = Path(__file__).with_name("report.html")
STOLEN = 50  # rows of the table of stolen images
DISTANCES = ("distance_own", "distance_thief")

Rows = list[dict[str, str]]  # lines of a csv file, every value as it is written there

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
WORDS = {"auroc": "AUROC", "ap": "AP", "aupro": "AUPRO", "f1": "F1"}
TITLES = ("image auroc", "pixel ap", "aupro")  # as `moleflow.tables` writes the names of metrics into cells


class Html(str):
    """Text that is HTML already; any other text is escaped before it gets into the page."""


def table(header: list[str], rows: list[list[str]]) -> Html:
    """A table that scrolls by itself on narrow screens; a cell that is Html brings its own <td>."""
    texts = {column for row in rows for column, cell in enumerate(row) if column and cell[:1].isalpha()}
    kinds = ['class="text"' if column in texts | {0} else "" for column in range(len(header))]
    head = "".join(f'<th scope="col" {kind}>{escape(name)}</th>' for name, kind in zip(header, kinds, strict=True))
    body = ""
    for row in rows:
        cells = [
            cell if isinstance(cell, Html) else f"<td {kind}>{escape(cell)}</td>"
            for cell, kind in zip(row[1:], kinds[1:], strict=True)
        ]
        body += f'<tr><th scope="row">{escape(row[0])}</th>{"".join(cells)}</tr>\n'
    return Html(f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>')


def from_markdown(text: str) -> Html:
    """One of the tables of `moleflow.tables`."""
    lines = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in text.splitlines()]
    rows = [[spelt(cell) if cell in TITLES else cell for cell in row] for row in lines[2:]]
    return table([spelt(name) for name in lines[0]], rows)


def spelt(title: str) -> str:
    """Acronyms in capitals."""
    return re.sub(r"\w+", lambda word: WORDS.get(word[0], word[0]), title)


def folded(title: str, body: str, *, opened: bool = False) -> Html:
    """Something that the reader may open."""
    return Html(f"<details{' open' if opened else ''}><summary>{escape(title)}</summary>{body}</details>")


def tinted(text: str, share: float, note: str = "") -> Html:
    """A cell whose background says how large its value is, 0 to 1."""
    small = f"<small>{escape(note)}</small>" if note else ""
    return Html(f'<td class="tint" style="--t:{min(max(share, 0), 1):.2f}">{escape(text)}{small}</td>')


def page(numbers: dict[str, Any], plots: dict[str, Rows], cases: dict[str, str], *, params: str, commit: str) -> str:
    """The whole page.

    Args:
        numbers: content of the files in metrics/ by stem: summary, classes, baselines, probe.
        plots: rows of histogram, matrix, confusion and stolen.
        cases: per product, in order of arrival, what `report_cases.cases_html` returned.
        params: text of params.yaml.
        commit: which commit it was made from, in words.
    """
    summary, classes = numbers["summary"], numbers["classes"]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        commit=escape(commit),
        headlines=headlines(summary),
        products=products_table(summary, classes, plots["histogram"], cases),
        target=targets(classes),
        forgetting=forgetting(summary, plots["matrix"]),
        rivals=rivals(summary, classes, numbers["baselines"]),
        probe=probe(numbers["probe"]),
        router=router(classes, plots["confusion"], plots["stolen"]),
        params=escape(params),
    )


def targets(classes: dict[str, Any]) -> str:
    """The promised rates of false alarms, in words."""
    rates = {name: f"{metrics['alarm_rate']:g}" for name, metrics in classes.items()}
    if len(set(rates.values())) == 1:
        return next(iter(rates.values()))
    return ", ".join(f"{rate} for {escape(name)}" for name, rate in rates.items())


def headlines(summary: dict[str, Any]) -> Html:
    """The numbers to see first."""
    calibration, account = summary["calibration"], summary["continual"]["image_auroc"]
    numbers = {
        "image AUROC": summary["image_auroc"],
        "pixel AP": summary["pixel_ap"],
        "AUPRO": summary["aupro"],
        "routing accuracy": summary["routing_accuracy"],
        "forgetting of image AUROC": account["forgetting"]["total"],
        f"mean gap to the false-alarm target {calibration['target']:g}, product given": calibration["mean_gap"],
    }
    items = [f"<div><dt>{escape(name)}</dt><dd>{tables.cell(value)}</dd></div>" for name, value in numbers.items()]
    return Html("".join(items))


def products_table(summary: dict[str, Any], classes: dict[str, Any], histogram: Rows, cases: dict[str, str]) -> Html:
    """A row per product that opens into its histogram and its worst cases; sorted by the page's script."""
    header = '<th scope="col" class="text" aria-sort="ascending"><button>Product</button></th>'
    header += "".join(f'<th scope="col" aria-sort="none"><button>{title}</button></th>' for title in COLUMNS.values())
    bodies = []
    for number, (name, metrics) in enumerate(classes.items()):
        cells = "".join(_metric(metrics, key) for key in COLUMNS)
        svg = histogram_svg([row for row in histogram if row["product"] == name])
        opener = f'<button class="opener" aria-expanded="false" aria-controls="detail-{number}">{escape(name)}</button>'
        bodies.append(
            f'<tbody><tr><th scope="row" data-value="{number}">{opener}</th>{cells}</tr>\n<tr class="detail" '
            f'id="detail-{number}" hidden><td colspan="{len(COLUMNS) + 1}"><div class="inner">'
            f"<h4>Image scores, by the product's own expert</h4>{svg}{cases[name]}</div></td></tr></tbody>\n"
        )
    means = "".join(f"<td>{tables.cell(summary[key])}</td>" for key in COLUMNS)
    return Html(
        f'<div class="scroll"><table id="products"><thead><tr>{header}</tr></thead>\n{"".join(bodies)}'
        f'<tfoot><tr><th scope="row">mean</th>{means}</tr></tfoot></table></div>'
    )


def _metric(metrics: dict[str, Any], key: str) -> str:
    value = metrics[key]
    if value is None:
        reason = escape(metrics["undefined"].get(key, "undefined"))
        return f'<td data-value=""><abbr title="{reason}" tabindex="0">–</abbr></td>'
    note = ""
    if key == "false_alarm_rate":
        low, high = metrics["false_alarm_low"], metrics["false_alarm_high"]
        above = " above" if low > metrics["alarm_rate"] else ""
        note = f'<small class="{above.strip()}">{low:.3f} to {high:.3f}{above}</small>'
    return f'<td data-value="{value:.6g}">{tables.cell(value)}{note}</td>'


def forgetting(summary: dict[str, Any], matrix: Rows) -> Html:
    """The matrices R and the account of what was lost."""
    parts = []
    for metric in summary["continual"]:
        rows = [row for row in matrix if row["metric"] == metric]
        opened = metric == "image_auroc"
        body = _matrix(rows, 0.5 if opened else 0.0) if rows else "<p>It is undefined for all products.</p>"
        parts.append(folded(spelt(metric.replace("_", " ")), body, opened=opened))
    return Html("".join(parts) + from_markdown(tables.continual_table(summary)))


def _matrix(rows: Rows, least: float) -> Html:
    """Tasks downwards, products across; what a product lost since its best is written below the value."""
    values = {(row["after"], row["product"]): float(row["value"]) for row in rows}
    products = list(dict.fromkeys(row["product"] for row in rows))
    best: dict[str, float] = {}
    lines = []
    for task in dict.fromkeys(row["after"] for row in rows):
        line: list[str] = [f"after {task}"]
        for product in products:
            value = values.get((task, product))
            if value is None:
                line.append("")
                continue
            best[product] = max(value, best.get(product, value))
            loss = best[product] - value
            line.append(tinted(f"{value:.3f}", (value - least) / (1 - least), f"−{loss:.3f}" if loss >= 5e-4 else ""))
        lines.append(line)
    return table(["", *products], lines)


def rivals(summary: dict[str, Any], classes: dict[str, Any], baselines: dict[str, Any]) -> Html:
    """The flow beside its rivals; nothing without any."""
    if not baselines:
        return Html("")
    parts = [from_markdown(tables.rivals_table(summary, baselines))]
    parts += [from_markdown(tables.rivals_by_product_table(classes, baselines, each)) for each in tables.RIVALS[:3]]
    return Html(
        '<section id="rivals"><h2>Rivals</h2><p>Other methods on the same features, routed and evaluated alike.</p>'
        f"{''.join(parts)}</section>"
    )


def probe(probes: dict[str, Any]) -> Html:
    """How the probe weighs the candidates, per product and kind of defect."""
    parts = [from_markdown(tables.agreement_table(probes))]
    for product, its in probes.items():
        body = ""
        for metric in ("image_auroc", "pixel_ap"):
            kinds = list(dict.fromkeys(kind for each in its["candidates"].values() for kind in each["kinds"]))
            rows = []
            for name, each in its["candidates"].items():
                by_kind = [each["kinds"].get(kind, {}).get(metric) for kind in kinds]
                ends = [each[f"probe_{metric}"], each[f"test_{metric}"]]
                rows.append([name, *map(tables.cell, by_kind + ends)])
            body += table([spelt(metric.replace("_", " ")), *kinds, "probe, mean", "test"], rows)
        parts.append(folded(product, body))
    return Html("".join(parts))


def router(classes: dict[str, Any], confusion: Rows, stolen: Rows) -> Html:
    """Where the test images went, which were stolen, and what happens to unknown products."""
    counts = Counter((row["product"], row["routed"]) for row in confusion)
    totals = Counter(row["product"] for row in confusion)
    targets = [*classes, "unknown"]
    rows: list[list[str]] = [
        [name, *(tinted(str(counts[name, to]), counts[name, to] / max(totals[name], 1)) for to in targets)]
        for name in classes
    ]
    parts = [table(["product, routed to", *targets], rows), "<h3>Stolen images</h3>"]
    parts.append(f"<p>{len(stolen)} test images lie nearer to another product's prototype than to their own.")
    parts.append(f" The first {STOLEN} are listed.</p>" if len(stolen) > STOLEN else "</p>")
    if stolen:
        lines = [
            [*(row[key] for key in ("product", "image", "thief")), *(f"{float(row[key]):.1f}" for key in DISTANCES)]
            for row in stolen[:STOLEN]
        ]
        parts.append(table(["product", "image", "nearest product", "distance to its own", "to the nearest"], lines))
    shares = [[name, *(tables.cell(each[key]) for key in OPEN_SET)] for name, each in classes.items()]
    parts += ["<h3>Unknown products</h3>", table(["product", *OPEN_SET.values()], shares)]
    return Html("".join(parts))
