"""The account of forgetting: theft is reported as theft, lost weights as lost weights."""

import numpy as np
import pandas as pd
import pytest

from moleflow.continual import forgetting
from moleflow.evaluation import Judged, auroc_matrices, class_metrics, judged_images, mean_metrics
from moleflow.scores_file import Record, read_record, write_record

NAN = np.nan


def test_forgetting_by_hand():
    own = np.array([[0.9, NAN, NAN], [0.9, 0.8, NAN], [0.9, 0.8, 0.7]])
    routed = np.array([[0.9, NAN, NAN], [0.7, 0.8, NAN], [0.6, 0.75, 0.7]])
    lost = forgetting(own, routed)
    assert lost.weights == 0
    assert lost.routing == pytest.approx((0.3 + 0.05) / 2)


def test_lost_weights_are_not_blamed_on_the_router():
    matrix = np.array([[0.9, NAN], [0.6, 0.8]])
    lost = forgetting(matrix, matrix)
    assert lost.weights == pytest.approx(0.3)
    assert lost.routing == pytest.approx(0)


def test_one_product_cannot_forget():
    assert forgetting(np.ones((1, 1)), np.ones((1, 1))) == forgetting(np.full((2, 2), NAN), np.full((2, 2), NAN))
    assert forgetting(np.ones((1, 1)), np.ones((1, 1))).weights is None


def verdicts(scores):
    scores = np.asarray(scores, float)
    return {
        "patch_score": scores[:, None, None].repeat(2, 1).repeat(2, 2),
        "image_score": scores,
        "p_value": 1 / (1 + scores),
    }


@pytest.fixture
def judged():
    """Product 0 of 2: six images; from the second step on, product 1 holds images 3 and 4."""
    index = pd.DataFrame({"split": ["train"] + ["test"] * 6, "label": [0, 0, 0, 0, 1, 1, 1], "mask": [""] * 7})
    own = {f"test/{key}": value for key, value in verdicts([1, 2, 3, 10, 11, 12]).items()}
    scores = Record(own, {"threshold": 4.0, "resize": "stretch"})
    chosen = np.array([[0, 0], [0, 0], [0, 0], [0, 1], [0, 1], [0, 0]])
    stolen = {f"stolen/nut/{key}": value for key, value in {"row": np.array([3, 4]), **verdicts([0.0, 2.5])}.items()}
    return judged_images(index, scores, {"chosen": chosen, **stolen}, own=0, classes=["bolt", "nut"], size=8)


def test_stolen_images_take_the_thiefs_scores_from_that_step_on(judged):
    assert judged.routed[0].image_score.tolist() == [1, 2, 3, 10, 11, 12]
    assert judged.routed[1].image_score.tolist() == [1, 2, 3, 0, 2.5, 12]
    assert judged.own.image_score.tolist() == [1, 2, 3, 10, 11, 12]


def test_theft_is_in_the_routed_metrics_and_not_in_the_oracles(judged):
    metrics, reasons = class_metrics(judged, own=0, alarm_rate=0.2, sigma=1.0)
    assert metrics["image_auroc_oracle"] == 1
    assert metrics["image_auroc"] == pytest.approx((0 + 2 + 3) / 9)
    assert metrics["routing_accuracy"] == pytest.approx(4 / 6)
    assert metrics["detection_rate_oracle"] == 1
    assert metrics["detection_rate"] == pytest.approx(1 / 3)
    assert metrics["false_alarm_rate"] == 0
    assert metrics["pixel_auroc"] is None
    assert reasons["pixel_auroc"] == "the class has no masks"


def test_matrices_know_when_the_theft_happened(judged):
    newer = Judged(judged.labels, None, judged.own, judged.routed[:1], judged.chosen[:, :1] + 1, 4.0)
    own, routed = auroc_matrices([judged, newer])
    np.testing.assert_allclose(own, [[1, NAN], [1, 1]])
    np.testing.assert_allclose(routed, [[1, NAN], [5 / 9, 1]])
    assert forgetting(own, routed).routing == pytest.approx(4 / 9)
    assert forgetting(own, routed).weights == 0


def test_too_few_calibration_images_leave_the_rates_undefined(judged):
    unwarranted = Judged(judged.labels, None, judged.own, judged.routed, judged.chosen, np.inf)
    metrics, reasons = class_metrics(unwarranted, own=0, alarm_rate=0.05, sigma=1.0)
    assert metrics["false_alarm_rate"] is None
    assert "19" in reasons["false_alarm_rate"]


def test_means_are_over_the_products_that_have_the_metric():
    classes = {
        "a": {"x": 1.0, "y": None, "z": None, "undefined": {}},
        "b": {"x": 0.0, "y": 0.5, "z": None, "undefined": {}},
    }
    assert mean_metrics(classes) == {"x": 0.5, "y": 0.5, "z": None}


def test_record_is_read_back_and_bytes_repeat(tmp_path):
    record = Record(
        {"test/a": np.arange(6.0).reshape(2, 3), "b": np.array([b"x", b"yz"])}, {"threshold": 1.5, "name": "n"}
    )
    for name in ("one.h5", "two.h5"):
        write_record(tmp_path / name, record)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    read = read_record(tmp_path / "one.h5")
    assert read.attributes == record.attributes
    np.testing.assert_array_equal(read.group("test")["a"], record.arrays["test/a"])
    assert read.arrays["b"].tolist() == [b"x", b"yz"]
