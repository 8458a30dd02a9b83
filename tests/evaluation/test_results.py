"""From predictions and routes to numbers: what misrouting does, and what the own expert's numbers leave out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from samples import RATE, TOP, evaluate, misrouted, outcome, predictions, scorer_of
from sklearn.metrics import roc_auc_score

from moleflow.evaluation import grades
from moleflow.evaluation.metrics import recall_at
from moleflow.evaluation.outcomes import MEASURED, PROVED, Outcome, routed_predictions
from moleflow.evaluation.results import calibration_summary, evaluate_product, mean_metrics
from moleflow.scoring.scorer import Predictions
from moleflow.scoring.scores import Score

NAN = np.nan


def test_misrouted_images_take_the_other_experts_scores_from_that_task_on(bolt):
    assert bolt.routed[0].image_score.tolist() == [1, 2, 3, 10, 11, 12]
    assert bolt.routed[1].image_score.tolist() == [1, 2, 3, 0, 2.5, 12]
    assert bolt.own[0] is bolt.own[1]
    assert bolt.own[0].image_score.tolist() == [1, 2, 3, 10, 11, 12]


def test_another_product_has_an_image_only_while_it_attracts_it():
    """nut attracts image 3 after task 1 and image 4 after task 2, where washer attracts image 3."""
    own, chosen = predictions([1, 2, 3, 10, 11, 12]), np.zeros((6, 3), int)
    chosen[3], chosen[4] = [0, 1, 2], [0, 0, 1]
    others = misrouted([3, 4], [0.3, 0.4]) | {"washer": (np.array([3]), predictions([0.5]))}
    after_each = {name: (rows, [other] * 3) for name, (rows, other) in others.items()}
    steps = routed_predictions([own] * 3, after_each, chosen, 0, ["bolt", "nut", "washer"])
    assert [step.image_score[[3, 4]].tolist() for step in steps] == [[10, 11], [0.3, 11], [0.5, 0.4]]


def test_misrouting_is_in_the_routed_metrics_and_not_in_the_own_experts(bolt, nut):
    metrics = evaluate({"bolt": bolt, "nut": nut}).classes["bolt"]
    assert metrics["image_auroc_own_expert"] == 1
    assert metrics["image_auroc"] == pytest.approx((0 + 2 + 3) / 9)
    assert metrics["routing_accuracy"] == pytest.approx(4 / 6)
    assert metrics["recall_own_expert"] == metrics["f1_own_expert"] == 1
    assert metrics["recall"] == pytest.approx(1 / 3)
    assert metrics["false_alarm_rate"] == 0
    assert metrics["pixel_auroc"] is metrics["aupro"] is None
    assert metrics["undefined"]["aupro"] == "the product has no masks"


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_router_that_misroutes_k_images_loses_exactly_that(count, nut):
    """Each misrouted defect falls below every normal image: the AUROC falls by k/3, all of it by routing."""
    rows = [3, 4, 5][:count]
    chosen = np.zeros((6, 2), int)
    chosen[rows, 1] = 1
    others = misrouted(rows, [0.0] * count) if count else {}
    evaluation = evaluate({"bolt": outcome(0, chosen, others), "nut": nut})
    lost = evaluation.summary["continual"]["image_auroc"]["forgetting"]
    assert lost == pytest.approx({"total": count / 3, "own_expert": 0, "routing": count / 3})
    np.testing.assert_allclose(evaluation.routed["image_auroc"], [[1, NAN], [1 - count / 3, 1]])
    np.testing.assert_allclose(evaluation.own["image_auroc"], [[1, NAN], [1, 1]])


def test_a_method_whose_parameters_move_is_measured_after_each_task(nut):
    """Its own expert loses bolt's defects after the second task, and finds them again after the third."""
    steps = [predictions(scores) for scores in ([1, 2, 3, 10, 11, 12], [1, 2, 3, 0, 0.5, 0.7], [1, 2, 3, 2.5, 11, 12])]
    chosen = np.zeros((6, 3), int)
    chosen[5, 2] = 1
    nuts = [predictions([number / 10]) for number in range(3)]
    routed = routed_predictions(steps, {"nut": (np.array([5]), nuts)}, chosen, 0, ["bolt", "nut"])
    assert routed[:2] == steps[:2]
    assert routed[2].image_score.tolist() == [1, 2, 3, 2.5, 11, 0.2]  # as nut's expert is after the third task
    moving = replace(outcome(0, chosen, {"nut": (np.array([5]), nuts[2])}), own=steps, routed=routed, unmoved="")
    evaluation = evaluate({"bolt": moving, "nut": replace(nut, unmoved="")})
    np.testing.assert_allclose(evaluation.own["image_auroc"][:, 0], [1, 0, 8 / 9])
    account = evaluation.summary["continual"]["image_auroc"]
    assert account["forgetting"]["own_expert"] == pytest.approx(1 / 9)
    assert account["forgetting"]["routing"] == pytest.approx(3 / 9)
    assert account["backward_transfer"]["own_expert"] == pytest.approx(-1 / 9)
    assert evaluation.summary["own_experts_after_each_task"] == MEASURED
    assert evaluate({"nut": nut}).summary["own_experts_after_each_task"] == PROVED


def test_the_same_predictions_are_graded_once(bolt, monkeypatch):
    graded = []
    grade = grades.grade
    monkeypatch.setattr(grades, "grade", lambda *given: graded.append(id(given[0])) or grade(*given))
    chosen = np.hstack([bolt.chosen, bolt.chosen[:, 1:], bolt.chosen[:, :1]])
    others = {"nut": (np.array([3, 4]), [predictions([0.0, 2.5])] * 4)}
    routed = routed_predictions(bolt.own * 2, others, chosen, 0, ["bolt", "nut"])
    assert routed[0] is routed[3] is bolt.own[0]
    assert routed[1] is routed[2]
    evaluate_product(replace(bolt, own=bolt.own * 2, routed=routed, chosen=chosen), sigma=1.0, size=8)
    assert len(graded) == 2


def test_no_nan_reaches_a_file_where_misrouting_leaves_a_metric_undefined():
    """All scores are equal after the second task."""
    flat = Predictions(np.ones((6, 2, 2)), np.zeros(6), np.ones(6), np.ones(6), np.ones(6))
    bolt = outcome(0, [[0, 1]] * 6, {"nut": (np.arange(6), flat)})
    summary = evaluate({"bolt": bolt, "nut": outcome(1, [[1]] * 6, {})}).summary
    json.dumps(summary, allow_nan=False)
    assert summary["continual"]["image_auroc"]["forgetting"]["total"] is None


@pytest.mark.parametrize("parts", [("nll",), ("nll", "latent")])
def test_experts_on_other_scales_give_the_same_ranking(nut, parts):
    """A likelihood that lies some hundred nats off for the other expert moves no metric, of images or pixels."""
    rng = np.random.default_rng(0)
    score = Score.of(*parts)
    normal = {part: rng.normal(size=(30, 4, 4)) for part in parts}
    test = {part: rng.normal(size=(1, 6, 4, 4)) for part in parts}
    masks = np.zeros((6, 8, 8), bool)
    masks[3:, 2:4, 2:4] = True
    for part in parts:
        test[part][0, 3:, 1, 1] += 3
    chosen = np.zeros((6, 2), int)
    chosen[[1, 4], 1] = 1

    def metrics(offset, scale):
        moved = {part: offset + scale * values for part, values in normal.items()}
        other = scorer_of(score, moved, settings=TOP)
        held = other({part: offset + scale * values[:, [1, 4]] for part, values in test.items()})
        own = scorer_of(score, normal, settings=TOP)(test)
        after_each = {"nut": (np.array([1, 4]), [held] * 2)}
        routed = routed_predictions([own] * 2, after_each, chosen, 0, ["bolt", "nut"])
        bolt = Outcome(
            nut.labels, masks, [own] * 2, routed, chosen, np.zeros(6, bool), 0, 4.0, 4.0, RATE, np.full(6, RATE), PROVED
        )
        found = evaluate({"bolt": bolt, "nut": nut}).classes["bolt"]
        return {key: found[key] for key in ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")}

    assert metrics(300.0, 20.0) == pytest.approx(metrics(0.0, 1.0), abs=1e-6)
    assert metrics(-300.0, 1.0) == pytest.approx(metrics(0.0, 1.0), abs=1e-6)


def test_misrouting_shows_in_pixel_matrices_too(nut):
    masks = np.zeros((6, 8, 8), bool)
    masks[3:, 2:4, 2:4] = True
    chosen = np.zeros((6, 2), int)
    chosen[3:, 1] = 1
    evaluation = evaluate({"bolt": outcome(0, chosen, misrouted([3, 4, 5], [0, 0, 0]), masks), "nut": nut})
    for metric in ("pixel_ap", "aupro"):
        assert evaluation.routed[metric][0, 0] > evaluation.routed[metric][1, 0]
        assert evaluation.own[metric][0, 0] == evaluation.own[metric][1, 0]
        assert np.isnan(evaluation.own[metric][:, 1]).all()


def test_order_of_the_images_changes_nothing(bolt, nut):
    order = np.random.default_rng(0).permutation(6)
    shuffled = Outcome(
        labels=bolt.labels[order],
        masks=None,
        own=[Predictions(*(value[order] for value in vars(step).values())) for step in bolt.own],
        routed=[Predictions(*(value[order] for value in vars(step).values())) for step in bolt.routed],
        chosen=bolt.chosen[order],
        rejected=bolt.rejected,
        number=0,
        threshold=4.0,
        pixel_threshold=4.0,
        alarm_rate=RATE,
        routed_rates=np.full(6, RATE),
        unmoved=PROVED,
    )
    straight, permuted = (evaluate({"bolt": each, "nut": nut}).summary for each in (bolt, shuffled))
    assert permuted == straight


def test_a_rejected_image_is_neither_a_false_alarm_nor_found(nut):
    rejected = np.array([True, False, False, True, True, False])
    own = predictions([9, 1, 2, 10, 11, 12])
    judged = Outcome(
        nut.labels, None, [own], [own], np.zeros((6, 1), int), rejected, 0, 4.0, 4.0, RATE, np.full(6, RATE), PROVED
    )
    metrics = evaluate({"bolt": judged}).classes["bolt"]
    assert metrics["false_alarm_rate"] == 0
    assert metrics["false_alarm_rate_own_expert"] == pytest.approx(1 / 3)
    assert metrics["recall"] == pytest.approx(1 / 3)
    assert metrics["recall_own_expert"] == 1


def test_an_image_is_judged_by_the_rate_of_the_product_that_it_is_sent_to(nut):
    """As the inspector does it; its own expert keeps the product's own rate."""
    own = predictions([1, 2, 9, 10, 11, 12])  # p-values of 1/(1 + score)
    sent = np.array([[0], [0], [1], [1], [0], [0]])
    rates = np.where(sent[:, 0], 0.01, 0.1)
    judged = replace(nut, own=[own], routed=[own], chosen=sent, number=0, alarm_rate=0.1, routed_rates=rates)
    metrics = evaluate({"bolt": judged}).classes["bolt"]
    assert metrics["false_alarm_rate_own_expert"] == pytest.approx(1 / 3)
    assert metrics["recall_own_expert"] == 1
    assert metrics["false_alarm_rate"] == 0
    assert metrics["recall"] == pytest.approx(2 / 3)


def test_too_few_calibration_images_leave_the_rates_undefined(nut):
    changes = {"threshold": np.inf, "number": 0, "chosen": nut.chosen * 0, "alarm_rate": 0.05}
    metrics = evaluate({"nut": replace(nut, **changes)}).classes["nut"]
    assert metrics["false_alarm_rate"] is metrics["f1"] is None
    assert metrics["undefined"]["f1"] == "too few normal images for an alarm_rate of 0.05"


def test_a_pixel_threshold_is_judged_by_normal_images_and_by_pixels(nut):
    """One of three normal images has marked pixels; half of each defect is marked, and nothing beside it."""
    patches, masks = np.zeros((6, 8, 8)), np.zeros((6, 8, 8), bool)
    patches[0, 0, 0] = 5
    masks[3:, 2:4, 2:4] = True
    patches[3:, 2:4, 2:3] = 5
    level = np.zeros(6)
    patches[1] += 7  # all of it, as another day's light does
    level[1] = 7
    own = replace(predictions([1, 2, 3, 10, 11, 12]), patch_score=patches, level=level)
    judged = replace(nut, own=[own], masks=masks, number=0, chosen=nut.chosen * 0)
    metrics = evaluate({"nut": judged}, sigma=0.0).classes["nut"]
    assert metrics["marked_normal_own_expert"] == pytest.approx(1 / 3)
    assert metrics["pixel_f1_own_expert"] == pytest.approx(2 * 6 / (7 + 12))
    too_few = evaluate({"nut": replace(judged, pixel_threshold=np.inf)}, sigma=0.0).classes["nut"]
    assert too_few["marked_normal_own_expert"] is too_few["pixel_f1_own_expert"] is None
    assert too_few["undefined"]["pixel_f1_own_expert"] == "too few normal images for an alarm_rate of 0.2"


def test_recall_beside_that_of_a_threshold_set_on_the_test():
    """A fifth of the five normal images lies above 4: above it lie two of three defects."""
    labels, scores = np.array([0, 0, 0, 0, 0, 1, 1, 1]), np.array([1, 2, 3, 4, 8, 3.5, 9, 9.5])
    assert recall_at(labels, scores, 0.2) == pytest.approx(2 / 3)
    assert recall_at(labels, scores, 0.4) == 1
    assert recall_at(labels[:5], scores[:5], 0.2) is None


def test_every_product_alarms_at_its_own_rate(bolt, nut):
    """p-values are 1/2, 1/3, 1/4 and 1/11 to 1/13: at 0.3 one normal image alarms, at 0.2 none, at 0.08 one defect."""
    alone = {"routed": bolt.own, "chosen": bolt.chosen * 0}
    rates = {
        name: {"alarm_rate": rate, "routed_rates": np.full(6, rate)} for name, rate in (("bolt", 0.3), ("nut", 0.08))
    }
    products = {"bolt": replace(bolt, **alone, **rates["bolt"]), "nut": replace(nut, **rates["nut"])}
    evaluation = evaluate(products)
    assert evaluation.classes["bolt"]["false_alarm_rate"] == pytest.approx(1 / 3)
    assert evaluation.classes["nut"]["recall"] == pytest.approx(1 / 3)
    assert [evaluation.classes[name]["alarm_rate"] for name in products] == [0.3, 0.08]
    assert evaluation.summary["calibration"]["target"] == pytest.approx(0.19)


def test_the_pooled_auroc_sees_what_no_products_own_sees(nut):
    """Each product ranks its own images without a fault; nut's normal images stand above half of bolt's defects."""
    bolt = outcome(0, [[0, 0]] * 6, {})
    lifted = replace(nut, own=[predictions([11.5, 11.5, 11.5, 20, 21, 22])] * 1)
    lifted = replace(lifted, routed=lifted.own)
    summary = evaluate({"bolt": bolt, "nut": lifted}).summary
    assert summary["image_auroc"] == 1
    labels = np.concatenate([bolt.labels, nut.labels])
    scores = np.concatenate([each.routed[-1].comparable_score for each in (bolt, lifted)])
    assert summary["pooled_image_auroc"] == pytest.approx(roc_auc_score(labels, scores))
    assert summary["pooled_image_auroc"] == pytest.approx(1 - 6 / 36)  # 10 and 11 lie below three of six normal images
    assert "undefined" not in summary


def test_images_are_pooled_as_they_are_routed(bolt, nut):
    """bolt's misrouted defects fall among the normal images."""
    found = evaluate({"bolt": bolt, "nut": nut}).summary["pooled_image_auroc"]
    given = evaluate({"bolt": replace(bolt, routed=bolt.own), "nut": nut}).summary["pooled_image_auroc"]
    assert found < given == 1


def test_a_pooled_auroc_of_one_kind_of_image_is_undefined_with_the_reason(bolt, nut):
    normal = {name: replace(each, labels=np.zeros(6, int)) for name, each in (("bolt", bolt), ("nut", nut))}
    summary = evaluate(normal).summary
    assert summary["pooled_image_auroc"] is None
    assert summary["undefined"] == {"pooled_image_auroc": "0 defective and 12 normal: both are needed"}


def test_calibration_summary_by_hand():
    rates = {"a": (0.05, 0.05, 0.01), "b": (0.05, 0.45, 0.30), "c": (0.05, None, None), "d": (0.3, 0.4, 0.2)}
    keys = ("alarm_rate", "false_alarm_rate_own_expert", "false_alarm_low_own_expert")
    classes = {name: dict(zip(keys, values, strict=True)) for name, values in rates.items()}
    found = calibration_summary(classes)
    assert found == pytest.approx({"target": 0.45 / 4, "mean_gap": 0.5 / 3, "kept": 2 / 3})
    assert calibration_summary({"c": classes["c"]})["kept"] is None


def test_means_are_over_the_products_that_have_the_metric():
    classes = {
        "a": {"x": 1.0, "y": None, "z": None, "undefined": {}},
        "b": {"x": 0.0, "y": 0.5, "z": None, "undefined": {}},
    }
    assert mean_metrics(classes) == {"x": 0.5, "y": 0.5, "z": None}
