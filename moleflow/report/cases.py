"""The images on which a product's inspection fails worst, with pictures of where it looked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moleflow.calibration.conformal import alarms
from moleflow.evaluation.outcomes import Outcome
from moleflow.images.index_table import white_of
from moleflow.images.orienting import View, turned_back
from moleflow.images.reading import image_pixels
from moleflow.report.pictures import SIDE, contour_path, data_uri, heat_colors
from moleflow.scoring.maps import Smoothing, anomaly_maps

CASES = 6  # images of each kind of mistake
HIGH = 97  # percentile of the patch scores at the bright end of the heat maps

NORMAL, DEFECTIVE = 0, 1
KINDS = {DEFECTIVE: "defective", NORMAL: "normal"}
TITLES = {
    DEFECTIVE: "Defective images that look most normal (highest p-values)",
    NORMAL: "Normal images that look most defective (lowest p-values)",
}
ALARM = {DEFECTIVE: ("good", "Alarm, rightly"), NORMAL: ("bad", "False alarm")}
SILENCE = {DEFECTIVE: ("bad", "Missed, no alarm"), NORMAL: ("good", "No alarm, rightly")}
REJECTION = ("warn", "No prediction: unknown product")


@dataclass(frozen=True)
class Case:
    """One image.

    Attributes:
        tone: good, bad or warn.
        words: what happened.
        facts: numbers and names by what they are.
        path: of its file.
        photo, heat: data URIs of the image and of its heat map.
        contour: data of an SVG path around the true defect, in pixels of the mask; empty if nothing is marked.
    """

    tone: str
    words: str
    facts: dict[str, str]
    path: str
    photo: str
    heat: str
    contour: str


@dataclass(frozen=True)
class Group:
    """The test images of one kind.

    Attributes:
        title: which of them are shown.
        kind: normal or defective.
        images, alarms, silent, rejected: how many there are, and how many of them raised an alarm, raised none, or
            were taken for an unknown product.
        shown: the worst of them, worst first.
    """

    title: str
    kind: str
    images: int
    alarms: int
    silent: int
    rejected: int
    shown: list[Case]


@dataclass(frozen=True)
class Cases:
    """The worst cases of a product.

    Attributes:
        groups: defective and normal images.
        low, high: patch scores at the dark and the bright end of the heat maps.
        percentile: which of all patch scores `high` is.
        masks: whether the product has masks.
        mask_side: side of its masks in pixels.
        side: side of the pictures in pixels.
    """

    groups: list[Group]
    low: float
    high: float
    percentile: int
    masks: bool
    mask_side: int
    side: int


def worst(outcome: Outcome, label: int) -> list[int]:
    """The images of one label that are outcome most unlike it.

    Args:
        outcome: a product's test images.
        label: 0 normal, 1 defective.

    Returns:
        Up to `CASES` rows, worst first; equal p-values by comparable score.
    """
    predictions = outcome.routed[-1]
    sign = 1 if label == NORMAL else -1
    order = np.lexsort((-sign * predictions.comparable_score, sign * predictions.p_value))
    return [int(row) for row in order if outcome.labels[row] == label][:CASES]


def worst_cases(
    outcome: Outcome, index: pd.DataFrame, names: list[str], *, root: Path, view: View, sigma: Smoothing, size: int
) -> Cases:
    """The worst cases of a product, as the routed experts judge them after the last task.

    Args:
        outcome: its N test images.
        index: path, defect and white of the same images, N rows.
        names: all products in order of arrival.
        root: the folder that relative paths of images start from.
        view: how they came before the backbone; pictures are in the frame of the images, not turned.
        sigma: smoothing of the anomaly maps in pixels of `size`, see `Smoothing`.
        size: side of the masks and anomaly maps in pixels.

    Returns:
        What the report shows of them.
    """
    low, high = heat_scale(outcome)
    groups = []
    for label in TITLES:
        shown = []
        for row in worst(outcome, label):
            [anomaly] = anomaly_maps(outcome.routed[-1].patch_score[[row]], size=size, sigma=sigma)
            image, white = root / index.path.iloc[row], white_of(index)
            photo = image_pixels(image, SIDE, view.resize, white=white).transpose(1, 2, 0)
            degrees = view.turn(image, white=white)
            heat = heat_colors((turned_back(anomaly, degrees) - low) / (high - low))
            contour = "" if outcome.masks is None else contour_path(_marked(outcome.masks[row], degrees))
            tone, words = _prediction(outcome, row)
            facts, path = _facts(outcome, index, row, names), str(Path(index.path.iloc[row]))
            shown.append(Case(tone, words, facts, path, data_uri(photo), data_uri(heat), contour))
        groups.append(_group(outcome, label, shown))
    return Cases(groups, low, high, HIGH, outcome.masks is not None, size, SIDE)


def _marked(mask: np.ndarray, degrees: float) -> np.ndarray:
    """A mask of a turned view in the image's frame, (S, S) bool."""
    return turned_back(mask.astype(np.float32), degrees) > 0.5


def heat_scale(outcome: Outcome) -> tuple[float, float]:
    """The common scale of a product's heat maps.

    Args:
        outcome: its test images.

    Returns:
        Patch scores at the dark and at the bright end.
    """
    low, high = np.percentile(outcome.routed[-1].patch_score, [50, HIGH]).tolist()
    return low, max(high, low + 1e-9 * (1 + abs(low)))  # all scores may be equal


def _prediction(outcome: Outcome, row: int) -> tuple[str, str]:
    """Its tone and its words."""
    if outcome.rejected[row]:
        return REJECTION
    raised = alarms(outcome.routed[-1].p_value, outcome.routed_rates)
    return (ALARM if raised[row] else SILENCE)[int(outcome.labels[row])]


def _facts(outcome: Outcome, index: pd.DataFrame, row: int, names: list[str]) -> dict[str, str]:
    predictions = outcome.routed[-1]
    return {
        "p-value": f"{predictions.p_value[row]:.3f}",
        "score": f"{predictions.image_score[row]:.4g}",
        "kind": str(index.defect.iloc[row]),
        "nearest" if outcome.rejected[row] else "routed to": names[int(outcome.chosen[row, -1])],
        "file": "/".join(Path(index.path.iloc[row]).parts[-2:]),
    }


def _group(outcome: Outcome, label: int, shown: list[Case]) -> Group:
    rows = np.flatnonzero(outcome.labels == label).tolist()
    predictions = [_prediction(outcome, row) for row in rows]
    alarming, silent = predictions.count(ALARM[label]), predictions.count(SILENCE[label])
    rejected = predictions.count(REJECTION)
    return Group(TITLES[label], KINDS[label], len(rows), alarming, silent, rejected, shown)
