"""The image scores of a product as a histogram."""

from dataclasses import dataclass

WIDTH, MIDDLE, HEIGHT = 600, 75, 70  # of the drawing, of its horizontal axis, of the tallest bar


@dataclass(frozen=True)
class Histogram:
    """What is drawn of a product's scores.

    Attributes:
        start, end: image scores at the left and the right edge.
        bars: data of an SVG path per kind: normal images upwards, defective ones downwards from the axis.
        threshold: an image score above it raises an alarm; None if it cannot be warranted.
        line: where the threshold is drawn, from 0 to `WIDTH`; None without one.
        most: images in the tallest bar.
    """

    start: float
    end: float
    bars: dict[str, str]
    threshold: float | None
    line: float | None
    most: int


def histogram(rows: list[dict[str, str]]) -> Histogram:
    """Lays out the bars and the threshold.

    Args:
        rows: the product's lines of metrics/plots/histogram.csv.

    Returns:
        Scores and paths.
    """
    threshold = float(rows[0]["threshold"]) if rows[0]["threshold"] else None
    edges = [float(row[key]) for row in rows for key in ("score", "score_end")]
    edges += [] if threshold is None else [threshold]
    start, span = min(edges), max(max(edges) - min(edges), 1e-9)
    most = max(int(row["images"]) for row in rows) or 1
    bars = {"normal": "", "defective": ""}
    for row in rows:
        left, right = ((float(row[key]) - start) / span * WIDTH for key in ("score", "score_end"))
        height = int(row["images"]) / most * (-HEIGHT if row["kind"] == "normal" else HEIGHT)
        if height:
            bars[row["kind"]] += f"M{left:.1f} {MIDDLE}v{height:.1f}H{right:.1f}v{-height:.1f}z"
    line = None if threshold is None else (threshold - start) / span * WIDTH
    return Histogram(start, start + span, bars, threshold, line, most)
