"""What is said of images as CSV, JSON lines or a table."""

import csv
import json
from collections.abc import Callable, Iterable
from io import StringIO
from math import isfinite
from typing import Any

from tabulate import tabulate

from moleflow.inspections.judged import Judged
from moleflow.routing.rejection import UNKNOWN

# Of an image that cannot be read only image and reason have a value.
COLUMNS = (
    "image",
    "product",  # or "unknown"
    "nearest",  # the product whose expert judged it
    "routing_margin",
    "image_score",
    "p_value",
    "threshold",
    "alarm",
    "reason",  # why neither an alarm nor its absence can be stated
    "artifacts",  # SHA-256 of the scorer, which names those of expert, prototype and base
)
Row = dict[str, Any]


def row(judged: Judged) -> Row:
    """What is said of an image, by column.

    Args:
        judged: the image, judged or not.

    Returns:
        A value for each of `COLUMNS`; None where there is none. Numbers are finite.
    """
    found = judged.inspection
    values = {name: getattr(found, name, None) for name in COLUMNS}
    name = str(judged.image).encode("utf-8", "backslashreplace").decode()  # names of files may be no text
    values |= {"image": name, "reason": judged.reason or None}
    if found is not None and judged.reason:
        values["alarm"] = None
    return {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in values.items()}


def as_csv(rows: Iterable[Row]) -> str:
    """Rows as CSV with a header; an empty cell is no value.

    Args:
        rows: from `row`.

    Returns:
        The text.
    """
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json_lines(rows: Iterable[Row]) -> str:
    """Rows as JSON, one object in a line.

    Args:
        rows: from `row`.

    Returns:
        The text.
    """
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows)


def as_table(rows: Iterable[Row]) -> str:
    """Rows as a table for the terminal, without the digests.

    Args:
        rows: from `row`.

    Returns:
        The text.
    """
    lines = [
        [
            each["image"],
            each["product"] or "–",
            *("–" if each[key] is None else f"{each[key]:.3g}" for key in ("image_score", "threshold", "p_value")),
            _outcome(each),
        ]
        for each in rows
    ]
    return tabulate(lines, ["image", "product", "score", "threshold", "p-value", ""], disable_numparse=True) + "\n"


def _outcome(each: Row) -> str:
    if each["product"] == UNKNOWN:
        return f"unknown product; most like {each['nearest']}"
    return each["reason"] or ("ALARM" if each["alarm"] else "normal")


FORMATS: dict[str, Callable[[Iterable[Row]], str]] = {"csv": as_csv, "jsonl": as_json_lines, "table": as_table}
