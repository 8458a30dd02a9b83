"""What the report shows of one product: its scores as a histogram, and the images on which it fails worst."""

from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

from moleflow.calibration import alarms
from moleflow.datasets.images import image_pixels
from moleflow.evaluation import Judged
from moleflow.scoring import anomaly_maps

CASES = 6  # images of each kind of mistake
SIDE, QUALITY = 224, 75  # pixels and WebP's quality of a picture: some 8 kB
HEAT = np.array([[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]])
HIGH = 97  # percentile of the patch scores at the bright end of the heat maps

NORMAL, DEFECTIVE = 0, 1
KINDS = {DEFECTIVE: "defective", NORMAL: "normal"}
TITLES = {
    DEFECTIVE: "Defective images that look most normal (highest p-values)",
    NORMAL: "Normal images that look most defective (lowest p-values)",
}
ALARM = {DEFECTIVE: ("good", "Alarm, rightly"), NORMAL: ("bad", "False alarm")}
SILENCE = {DEFECTIVE: ("bad", "Missed, no alarm"), NORMAL: ("good", "No alarm, rightly")}
REJECTION = ("warn", "No verdict: unknown product")


def worst(judged: Judged, label: int) -> list[int]:
    """Rows of the images of one label that are judged most unlike it; equal p-values by comparable score."""
    verdicts = judged.routed[-1]
    sign = 1 if label == NORMAL else -1
    order = np.lexsort((-sign * verdicts.comparable_score, sign * verdicts.p_value))
    return [int(row) for row in order if judged.labels[row] == label][:CASES]


def cases_html(judged: Judged, index: pd.DataFrame, names: list[str], *, resize: str, sigma: float, size: int) -> str:
    """The worst cases of a product, as the routed experts judge them after the last task.

    Args:
        judged: its test images.
        index: path and defect of the same images.
        names: all products in order of arrival.
        resize: how the backbone's view was cut, see `image_pixels`.
        sigma: smoothing of the anomaly maps in pixels of `size`.
        size: side of the masks and anomaly maps in pixels.
    """
    low, high = heat_scale(judged)
    parts = []
    for label, title in TITLES.items():
        rows = worst(judged, label)
        cards = []
        for row in rows:
            [anomaly] = anomaly_maps(judged.routed[-1].patch_score[[row]], size=size, sigma=sigma)
            photo = image_pixels(Path(index.path.iloc[row]), SIDE, resize).transpose(1, 2, 0)
            heat = heat_colours((anomaly - low) / (high - low))
            contour = "" if judged.masks is None else contour_svg(judged.masks[row])
            pictures = _picture(photo, "Image", contour) + _picture(heat, "Heat map of the anomaly map", contour)
            cards.append(f'<li class="case">{pictures}{_caption(judged, index, row, names)}</li>')
        shown = f'<ul class="cases">{"".join(cards)}</ul>' if cards else ""
        parts.append(f"<h4>{title}</h4><p>{_counts(judged, label)}</p>{shown}")
    line = "The product has no masks." if judged.masks is None else "Blue line: the true mask."
    scale = (
        f'<p class="note"><span class="ramp" aria-hidden="true"></span> Heat maps: from the median ({low:.4g}) to the '
        f"{HIGH:g}th percentile ({high:.4g}) of the patch scores of all the product's test images; one scale for all "
        f"pictures of the product. {line}</p>"
    )
    return "".join(parts) + scale


def heat_scale(judged: Judged) -> tuple[float, float]:
    """Patch scores at the dark and the bright end of a product's heat maps."""
    low, high = np.percentile(judged.routed[-1].patch_score, [50, HIGH]).tolist()
    return low, max(high, low + 1e-9 * (1 + abs(low)))  # all scores may be equal


def heat_colours(values: np.ndarray) -> np.ndarray:
    """Colours from black over red to pale yellow of values from 0 to 1, (..., 3) uint8; others are clipped."""
    anchors = np.linspace(0, 1, len(HEAT))
    channels = [np.interp(values, anchors, HEAT[:, channel]) for channel in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def contour_svg(mask: np.ndarray) -> str:
    """The outline of a mask to lay over a picture; empty if nothing is marked."""
    lines = find_contours(np.pad(mask, 1).astype(float), 0.5)
    # Padded so that regions at the border close; approximated to half a pixel because an outline
    # point per pixel would weigh more than the picture.
    shapes = [approximate_polygon(line, 0.5) - 0.5 for line in lines]
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in shape[:-1]) + "Z" for shape in shapes)
    size = mask.shape[-1]
    return f'<svg viewBox="0 0 {size} {size}" aria-hidden="true"><path d="{path}"/></svg>' if path else ""


def histogram_svg(rows: list[dict[str, str]]) -> str:
    """Image scores of a product, normal images upwards and defective ones downwards, with the threshold.

    Args:
        rows: its lines of metrics/plots/histogram.csv.
    """
    threshold = float(rows[0]["threshold"]) if rows[0]["threshold"] else None
    edges = [float(row[key]) for row in rows for key in ("score", "score_end")]
    edges += [] if threshold is None else [threshold]
    start, span = min(edges), max(max(edges) - min(edges), 1e-9)
    most = max(int(row["images"]) for row in rows) or 1
    bars = {"normal": "", "defective": ""}
    for row in rows:
        left, right = ((float(row[key]) - start) / span * 600 for key in ("score", "score_end"))
        height = int(row["images"]) / most * (-70 if row["kind"] == "normal" else 70)
        if height:
            bars[row["kind"]] += f"M{left:.1f} 75v{height:.1f}H{right:.1f}v{-height:.1f}z"
    alarm, place = "", "no alarm threshold can be warranted"
    if threshold is not None:
        x, place = (threshold - start) / span * 600, f"alarm threshold {threshold:.4g}"
        alarm = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="150"/>'
    label = f"Histogram of image scores from {start:.4g} to {start + span:.4g}; {place}"
    return (
        f'<figure class="histogram"><svg viewBox="0 0 600 150" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}"><path class="normal" d="{bars["normal"]}"/><path class="defective" '
        f'd="{bars["defective"]}"/><path class="axis" d="M0 75H600"/>{alarm}</svg><div class="ends"><span>{start:.4g}'
        f"</span><span>image score</span><span>{start + span:.4g}</span></div><figcaption>"
        f'<span><i class="normal"></i>normal, upwards</span> <span><i class="defective"></i>defective, downwards</span>'
        f' <span><i class="threshold"></i>{place}</span> <span>the tallest bar is {most} images</span>'
        "</figcaption></figure>"
    )


def _picture(pixels: np.ndarray, name: str, contour: str) -> str:
    image, buffer = Image.fromarray(np.ascontiguousarray(pixels)), BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(buffer, "WEBP", quality=QUALITY, method=4)
    data = b64encode(buffer.getvalue()).decode()
    source = f'src="data:image/webp;base64,{data}" width="{SIDE}" height="{SIDE}"'
    return f'<span class="picture"><img {source} alt="{name}" decoding="async" loading="lazy">{contour}</span>'


def _verdict(judged: Judged, row: int) -> tuple[str, str]:
    """Its tone and its words."""
    if judged.rejected[row]:
        return REJECTION
    return (ALARM if alarms(judged.routed[-1].p_value, judged.alarm_rate)[row] else SILENCE)[int(judged.labels[row])]


def _caption(judged: Judged, index: pd.DataFrame, row: int, names: list[str]) -> str:
    tone, words = _verdict(judged, row)
    path = Path(index.path.iloc[row])
    routed, verdicts = int(judged.chosen[row, -1]), judged.routed[-1]
    facts = {
        "p-value": f"{verdicts.p_value[row]:.3f}",
        "score": f"{verdicts.image_score[row]:.4g}",
        "kind": index.defect.iloc[row],
        "nearest" if judged.rejected[row] else "routed to": names[routed],
        "file": "/".join(path.parts[-2:]),
    }
    lines = "".join(f"<dt>{key}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items())
    return f'<b class="{tone}">{words}</b><dl title="{escape(str(path))}">{lines}</dl>'


def _counts(judged: Judged, label: int) -> str:
    rows = np.flatnonzero(judged.labels == label)
    if not len(rows):
        return f"The test set has no {KINDS[label]} images."
    verdicts = [_verdict(judged, row)[1] for row in rows.tolist()]
    alarms, silent = verdicts.count(ALARM[label][1]), verdicts.count(SILENCE[label][1])
    return (
        f"Of {len(rows)} {KINDS[label]} images {alarms} raised an alarm, {silent} did not, and "
        f"{len(rows) - alarms - silent} got no verdict because the router took them for an unknown product."
    )
