"""Results as tables for a terminal."""

from typing import Any

COLUMNS = (
    "image_auroc",
    "image_ap",
    "pixel_auroc",
    "pixel_ap",
    "routing_accuracy",
    "false_alarm_rate",
    "detection_rate",
)


def results_table(classes: dict[str, dict[str, Any]], summary: dict[str, Any]) -> str:
    """A Markdown table, one line per product and one of their means; "–" where a metric is undefined.

    Args:
        classes: content of metrics/classes.json.
        summary: content of metrics/summary.json.
    """
    lines = ["| product | " + " | ".join(name.replace("_", " ") for name in COLUMNS) + " |"]
    lines.append("|---" * (len(COLUMNS) + 1) + "|")
    for name, metrics in [*classes.items(), ("mean", summary)]:
        lines.append(f"| {name} | " + " | ".join(_cell(metrics[column]) for column in COLUMNS) + " |")
    weights, routing = (_cell(summary[f"forgetting_{part}"]) for part in ("weights", "routing"))
    return "\n".join([*lines, "", f"forgetting (image AUROC): {weights} by weights, {routing} by routing"])


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
