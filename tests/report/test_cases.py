"""The worst cases and the histogram of a product: ordered and worded rightly, drawn where they belong."""

import re
from dataclasses import replace

import numpy as np
import pytest
from samples import evaluate

from moleflow.evaluation.outcomes import Outcome
from moleflow.report.cases import CASES, heat_scale, worst
from moleflow.report.histogram import histogram
from moleflow.report.page import TEMPLATES
from moleflow.report.pictures import contour_path, heat_colors
from moleflow.scoring.scorer import Predictions


@pytest.mark.parametrize("absent", ["normal", "defective"])
def test_a_kind_of_image_may_be_absent(make_page, absent, judged):
    assert f"The test set has no {absent} images." in make_page(nut=judged(1, **{absent: 0}))


def test_worst_cases_come_first(judged):
    one = judged(0)
    assert worst(one, 1) == [4, 5, 6, 7, 8, 9]
    assert worst(one, 0) == [3, 2, 1, 0]
    ties = replace(one.own[0], p_value=np.full(12, 0.5))
    tied = Outcome(**{**vars(one), "routed": [ties]})
    assert worst(tied, 1) == [4, 5, 6, 7, 8, 9]
    assert worst(tied, 0) == [3, 2, 1, 0]
    assert len(worst(one, 1)) == CASES


def test_cases_say_what_happened(make_page, judged):
    text = make_page(bolt=judged(0, normal=6, defective=2))
    bolt = text[text.index('id="detail-0"') : text.index('id="detail-1"')]
    assert bolt.count("False alarm<") == 2  # p-values 1/5 and 1/6 of 0.2 at most
    assert bolt.count("No alarm, rightly<") == 4
    assert bolt.count("Alarm, rightly<") == 1
    assert bolt.count("No prediction: unknown product<") == 1
    bolt = " ".join(bolt.split())
    assert "Of 6 normal images 2 raised an alarm, 4 did not, and 0 got no prediction" in bolt
    assert "Of 2 defective images 1 raised an alarm, 0 did not, and 1 got no prediction" in bolt


def test_the_page_counts_the_alarms_that_the_metrics_count(make_page, judged):
    """A p-value that a rounding error lifts above the rate, as 3/10 is above 0.3, is an alarm in both."""
    one = judged(0, normal=6, defective=2)
    rounded = replace(one.own[0], p_value=np.repeat([one.alarm_rate * (1 + 1e-12), 0.9], [6, 2]))
    product = Outcome(**{**vars(one), "own": [rounded] * 2, "routed": [rounded] * 2, "rejected": np.zeros(8, bool)})
    assert "Of 6 normal images 6 raised an alarm, 0 did not" in make_page(bolt=product)
    metrics = evaluate({"bolt": product, "nut": judged(1)}).classes["bolt"]
    assert metrics["false_alarm_rate"] == 1


def test_contours_close_around_regions_and_none_is_drawn_without_one():
    mask = np.zeros((8, 8), bool)
    assert contour_path(mask) == ""
    mask[2:5, :3] = True
    corners = re.findall(r"(-?[\d.]+) (-?[\d.]+)", contour_path(mask))
    x, y = np.array(corners, float).T
    assert (x.min(), x.max(), y.min(), y.max()) == (0, 3, 2, 5)


def test_heat_is_common_to_a_product_and_survives_equal_scores(judged):
    flat = Predictions(np.ones((12, 4, 4)), np.zeros(12), np.ones(12), np.ones(12), np.ones(12))
    low, high = heat_scale(Outcome(**{**vars(judged(0)), "routed": [flat]}))
    assert high > low
    assert heat_colors(np.array([-1.0, 0.0, 1.0, 2.0])).tolist() == [[0, 0, 4]] * 2 + [[252, 255, 164]] * 2


def test_a_threshold_of_zero_or_beyond_the_scores_is_drawn():
    row = {"kind": "normal", "score": "-2", "score_end": "-1", "images": "3", "threshold": "0"}
    drawn = histogram([row])
    assert (drawn.start, drawn.end, drawn.line) == (-2, 0, 600)
    assert '<line x1="600.0" x2="600.0"' in TEMPLATES.get_template("cases.html").module.histogram(drawn)
