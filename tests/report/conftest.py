"""Fixtures of the report's tests."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from samples import evaluate, save_image

from moleflow.evaluation.outcomes import PROVED, Outcome
from moleflow.evaluation.plot_tables import joined, matrix_table, plot_tables
from moleflow.evaluation.results import Evaluation
from moleflow.images.orienting import View
from moleflow.report.card import Card
from moleflow.report.cases import worst_cases
from moleflow.report.page import page
from moleflow.scoring.scorer import Predictions

SIZE, RATE = 16, 0.2


@pytest.fixture
def unpadded() -> Callable[[str], list[str]]:
    """Splits Markdown into lines, those of tables without the spaces that align their columns."""

    def lines(markdown: str) -> list[str]:
        ruled = re.sub(r"\|-[-|]+\|", lambda rule: re.sub("-+", " --- ", rule[0]), markdown)
        return [re.sub(" +", " ", line) for line in ruled.splitlines()]

    return lines


@pytest.fixture
def judged() -> Callable[..., Outcome]:
    """Builds a product of two whose scores rise from image to image, more steeply for a larger number."""
    return _judged


def _judged(number: int, *, normal: int = 4, defective: int = 8, masks: bool = True, threshold: float = 5.0) -> Outcome:
    count = normal + defective
    scores = np.arange(count) * (1.0 + number)
    patches = scores[:, None, None] + np.arange(16.0).reshape(4, 4)
    predictions = Predictions(patches, 0 * scores, scores, 1 / (1 + scores), scores)
    labels = np.repeat([0, 1], [normal, defective])
    marked = np.zeros((count, SIZE, SIZE), bool)
    marked[labels == 1, 4:9, :6] = True
    steps = 2 - number
    return Outcome(
        labels=labels,
        masks=marked if masks else None,
        own=[predictions] * steps,
        routed=[predictions] * steps,
        chosen=np.full((count, steps), number),
        rejected=np.arange(count) == count - 1,
        number=number,
        threshold=threshold,
        pixel_threshold=threshold,
        alarm_rate=RATE,
        routed_rates=np.full(count, RATE),
        unmoved=PROVED,
    )


def numbers_of(flow: dict[str, Outcome], evaluation: Evaluation, baselines: tuple[str, ...]) -> dict[str, Any]:
    """What evaluate writes into metrics/*.json, with invented probes."""
    rejections = dict.fromkeys(("rejected_normal", "rejected_defective", "unknown_rejected", "open_set_auroc"), 0.1)
    summary = evaluation.summary | rejections | {"alarm_for": "session"}
    classes = {name: each | rejections for name, each in evaluation.classes.items()}
    candidate = {
        "probe_image_auroc": 0.9,
        "probe_pixel_ap": 0.5,
        "test_image_auroc": 0.8,
        "test_pixel_ap": None,
        "test_aupro": None,
    }
    candidate["kinds"] = {"blob": {"image_auroc": 0.9, "pixel_ap": 0.5}}
    undefined = dict.fromkeys(("spearman", "chosen", "best", "cost"))
    ranked = {"spearman": 0.5, "chosen": "nll", "best": "knn", "cost": 0.25}
    agreement = {"image_auroc": ranked, "pixel_ap": undefined}
    return {
        "summary": summary,
        "classes": classes,
        "baselines": {name: {"summary": summary, "classes": classes} for name in baselines},
        "probe": {
            name: {"judged_by": "nll", "candidates": {"nll": candidate}, "agreement": agreement} for name in flow
        },
    }


@pytest.fixture
def make_page(tmp_path):
    """Builds a page of the products bolt (or another first one) and nut; keywords replace what is judged or shown."""

    def make(
        bolt=None, nut=None, first="bolt", defect="scratch", baselines=("knn",), params="seed: 0\n", misrouted=0
    ) -> str:
        flow = {first: bolt or _judged(0), "nut": nut or _judged(1, masks=False)}
        cases = {}
        for name, each in flow.items():
            paths = [save_image(tmp_path / name / f"{row}.png").as_posix() for row in range(len(each.labels))]
            index = pd.DataFrame({"path": paths, "defect": np.where(each.labels == 1, defect, "good"), "white": np.nan})
            settings = {"root": tmp_path, "view": View("stretch"), "sigma": 1.0, "size": SIZE}
            cases[name] = worst_cases(each, index, list(flow), **settings)
        evaluation = evaluate(flow)
        tables = joined(
            [
                plot_tables(
                    name, each, list(flow), images=[""] * len(each.labels), distances=np.ones((len(each.labels), 2))
                )
                for name, each in flow.items()
            ]
        )
        row = {"product": first, "image": "a.png", "routed": "nut", "distance_own": "2", "distance_routed": "1.5"}
        plots = {
            "histogram": rows(tables["histogram"]),
            "matrix": rows(matrix_table(evaluation, ["t00", "t01"])),
            "confusion": rows(tables["confusion"]),
            "misrouted": [row] * misrouted,
        }
        cards = {name: Card({"images": f"of {name}", "left out": defect}, [f"a note on {defect}"]) for name in flow}
        return page(numbers_of(flow, evaluation, baselines), plots, cases, cards, params=params, commit="no git commit")

    return make


def rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    """As csv.DictReader would read it."""
    return [
        {key: "" if pd.isna(value) else str(value) for key, value in row.items()} for row in frame.to_dict("records")
    ]
