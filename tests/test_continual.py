"""The account of forgetting: theft is reported as theft, lost weights as lost weights."""

import json
from dataclasses import replace

import numpy as np
import pytest

from moleflow.calibration import alarm_threshold
from moleflow.continual import Account, continual_account
from moleflow.evaluation import Judged, calibration_summary, evaluate, mean_metrics, routed_verdicts
from moleflow.plot_data import confusion_table, matrix_table, stolen_table
from moleflow.scorer import Scorer, Verdicts
from moleflow.scores_file import Record, read_record, write_record
from moleflow.scoring import Aggregation

NAN = np.nan
RATE = 0.2


def test_account_by_hand():
    own = np.array([[0.9, NAN, NAN], [0.9, 0.8, NAN], [0.9, 0.8, 0.7]])
    routed = np.array([[0.9, NAN, NAN], [0.7, 0.8, NAN], [0.8, 0.75, 0.7]])
    account = continual_account(own, routed)
    assert account["forgetting"].weights == 0
    assert account["forgetting"].total == account["forgetting"].routing == pytest.approx((0.1 + 0.05) / 2)
    assert account["backward_transfer"].total == pytest.approx(-(0.1 + 0.05) / 2)
    assert account["average_incremental"].total == pytest.approx((0.9 + 0.75 + 0.75) / 3)
    assert account["average_incremental"].weights == pytest.approx((0.9 + 0.85 + 0.8) / 3)


def test_forgetting_counts_from_the_best_and_transfer_from_the_arrival():
    matrix = np.array([[0.5, NAN, NAN], [0.9, 0.8, NAN], [0.7, 0.8, 0.6]])
    account = continual_account(matrix, matrix)
    assert account["forgetting"].total == pytest.approx((0.2 + 0) / 2)
    assert account["backward_transfer"].total == pytest.approx((0.2 + 0) / 2)


def test_lost_weights_are_not_blamed_on_the_router():
    matrix = np.array([[0.9, NAN], [0.6, 0.8]])
    lost = continual_account(matrix, matrix)["forgetting"]
    assert lost.weights == lost.total == pytest.approx(0.3)
    assert lost.routing == pytest.approx(0)


def test_one_task_cannot_forget_and_an_undefined_metric_has_no_account():
    account = continual_account(np.ones((1, 2)), np.ones((1, 2)))
    assert account["forgetting"] == account["backward_transfer"] == Account(None, None, None)
    assert account["average_incremental"].total == 1
    assert continual_account(np.full((2, 2), NAN), np.full((2, 2), NAN))["average_incremental"].total is None


def verdicts(scores):
    scores = np.asarray(scores, float)
    return Verdicts(scores[:, None, None].repeat(2, 1).repeat(2, 2), scores, 1 / (1 + scores), scores)


def product(number, chosen, stolen, masks=None):
    """A product of two: six images, the last three defective, ranked without a fault by the own expert."""
    own, chosen = verdicts([1, 2, 3, 10, 11, 12]), np.array(chosen)
    return Judged(
        labels=np.array([0, 0, 0, 1, 1, 1]),
        masks=masks,
        own=own,
        routed=routed_verdicts(own, stolen, chosen, number, ["bolt", "nut"]),
        chosen=chosen,
        rejected=np.zeros(6, bool),
        number=number,
        threshold=4.0,
        alarm_rate=RATE,
    )


def stolen(rows, scores):
    return {"nut": (np.array(rows), verdicts(scores))}


@pytest.fixture
def bolt():
    """From the second task on, nut holds images 3 and 4."""
    return product(0, [[0, 0], [0, 0], [0, 0], [0, 1], [0, 1], [0, 0]], stolen([3, 4], [0.0, 2.5]))


@pytest.fixture
def nut():
    return product(1, [[1]] * 6, {})


def test_stolen_images_take_the_thiefs_scores_from_that_task_on(bolt):
    assert bolt.routed[0].image_score.tolist() == [1, 2, 3, 10, 11, 12]
    assert bolt.routed[1].image_score.tolist() == [1, 2, 3, 0, 2.5, 12]
    assert bolt.own.image_score.tolist() == [1, 2, 3, 10, 11, 12]


def test_a_thief_has_an_image_only_while_it_holds_it():
    """nut holds image 3 after task 1 and image 4 after task 2, where washer takes image 3."""
    own, chosen = verdicts([1, 2, 3, 10, 11, 12]), np.zeros((6, 3), int)
    chosen[3], chosen[4] = [0, 1, 2], [0, 0, 1]
    thieves = stolen([3, 4], [0.3, 0.4])
    thieves |= {"washer": (np.array([3]), verdicts([0.5]))}
    steps = routed_verdicts(own, thieves, chosen, 0, ["bolt", "nut", "washer"])
    assert [step.image_score[[3, 4]].tolist() for step in steps] == [[10, 11], [0.3, 11], [0.5, 0.4]]


def test_theft_is_in_the_routed_metrics_and_not_in_the_oracles(bolt, nut):
    metrics = evaluate({"bolt": bolt, "nut": nut}, sigma=1.0).classes["bolt"]
    assert metrics["image_auroc_oracle"] == 1
    assert metrics["image_auroc"] == pytest.approx((0 + 2 + 3) / 9)
    assert metrics["routing_accuracy"] == pytest.approx(4 / 6)
    assert metrics["recall_oracle"] == metrics["f1_oracle"] == 1
    assert metrics["recall"] == pytest.approx(1 / 3)
    assert metrics["false_alarm_rate"] == 0
    assert metrics["pixel_auroc"] is metrics["aupro"] is None
    assert metrics["undefined"]["aupro"] == "the class has no masks"


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_router_that_steals_k_images_yields_exactly_that_theft(count, nut):
    """Each stolen defect falls below every normal image: the AUROC falls by k/3, all of it by routing."""
    rows = [3, 4, 5][:count]
    chosen = np.zeros((6, 2), int)
    chosen[rows, 1] = 1
    thieves = stolen(rows, [0.0] * count) if count else {}
    evaluation = evaluate({"bolt": product(0, chosen, thieves), "nut": nut}, sigma=1.0)
    lost = evaluation.summary["continual"]["image_auroc"]["forgetting"]
    assert lost == pytest.approx({"total": count / 3, "weights": 0, "routing": count / 3})
    np.testing.assert_allclose(evaluation.routed["image_auroc"], [[1, NAN], [1 - count / 3, 1]])
    np.testing.assert_allclose(evaluation.own["image_auroc"], [[1, NAN], [1, 1]])


@pytest.mark.parametrize("parts", [("nll",), ("nll", "latent")])
def test_experts_on_other_scales_give_the_same_ranking(nut, parts):
    """A likelihood that lies some hundred nats off for the other expert moves no metric, of images or pixels."""
    rng = np.random.default_rng(0)
    aggregation = Aggregation("max", 3, 1.0, 90.0)
    normal = {part: rng.normal(size=(30, 4, 4)) for part in parts} | {"fold": np.zeros(30, int)}
    test = {part: rng.normal(size=(1, 6, 4, 4)) for part in parts}
    masks = np.zeros((6, 8, 8), bool)
    masks[3:, 2:4, 2:4] = True
    for part in parts:
        test[part][0, 3:, 1, 1] += 3
    chosen = np.zeros((6, 2), int)
    chosen[[1, 4], 1] = 1

    def metrics(offset, scale):
        moved = {part: offset + scale * values for part, values in normal.items() if part != "fold"}
        other = Scorer.of(parts, aggregation, moved | {"fold": normal["fold"]}, {})
        held = other({part: offset + scale * values[:, [1, 4]] for part, values in test.items()})
        own = Scorer.of(parts, aggregation, normal, {})(test)
        routed = routed_verdicts(own, {"nut": (np.array([1, 4]), held)}, chosen, 0, ["bolt", "nut"])
        bolt = Judged(nut.labels, masks, own, routed, chosen, np.zeros(6, bool), 0, 4.0, RATE)
        found = evaluate({"bolt": bolt, "nut": nut}, sigma=1.0).classes["bolt"]
        return {key: found[key] for key in ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")}

    assert metrics(300.0, 20.0) == pytest.approx(metrics(0.0, 1.0), abs=1e-6)
    assert metrics(-300.0, 1.0) == pytest.approx(metrics(0.0, 1.0), abs=1e-6)


def test_a_metric_that_misrouting_leaves_undefined_has_no_account():
    """All scores equal after the second task: no NaN reaches a file, and no mean is taken over fewer products."""
    own = np.array([[0.9, NAN], [0.9, 0.8]])
    routed = np.array([[0.9, NAN], [NAN, 0.8]])
    for figure, account in continual_account(own, routed).items():
        assert account.total is account.routing is None, figure
        assert account.weights is not None
    flat = Verdicts(np.ones((6, 2, 2)), np.ones(6), np.ones(6), np.ones(6))
    bolt = product(0, [[0, 1]] * 6, {"nut": (np.arange(6), flat)})
    summary = evaluate({"bolt": bolt, "nut": product(1, [[1]] * 6, {})}, sigma=1.0).summary
    json.dumps(summary, allow_nan=False)
    assert summary["continual"]["image_auroc"]["forgetting"]["total"] is None


def test_theft_shows_in_pixel_matrices_too(nut):
    masks = np.zeros((6, 8, 8), bool)
    masks[3:, 2:4, 2:4] = True
    chosen = np.zeros((6, 2), int)
    chosen[3:, 1] = 1
    evaluation = evaluate({"bolt": product(0, chosen, stolen([3, 4, 5], [0, 0, 0]), masks), "nut": nut}, sigma=1.0)
    for metric in ("pixel_ap", "aupro"):
        assert evaluation.routed[metric][0, 0] > evaluation.routed[metric][1, 0]
        assert evaluation.own[metric][0, 0] == evaluation.own[metric][1, 0]
        assert np.isnan(evaluation.own[metric][:, 1]).all()


def test_order_of_the_images_changes_nothing(bolt, nut):
    order = np.random.default_rng(0).permutation(6)
    shuffled = Judged(
        labels=bolt.labels[order],
        masks=None,
        own=Verdicts(*(value[order] for value in vars(bolt.own).values())),
        routed=[Verdicts(*(value[order] for value in vars(step).values())) for step in bolt.routed],
        chosen=bolt.chosen[order],
        rejected=bolt.rejected,
        number=0,
        threshold=4.0,
        alarm_rate=RATE,
    )
    straight, permuted = (evaluate({"bolt": each, "nut": nut}, sigma=1.0).summary for each in (bolt, shuffled))
    assert permuted == straight


def test_a_rejected_image_is_neither_a_false_alarm_nor_found(nut):
    rejected = np.array([True, False, False, True, True, False])
    own = verdicts([9, 1, 2, 10, 11, 12])
    judged = Judged(nut.labels, None, own, [own], np.zeros((6, 1), int), rejected, 0, 4.0, RATE)
    metrics = evaluate({"bolt": judged}, sigma=1.0).classes["bolt"]
    assert metrics["false_alarm_rate"] == 0
    assert metrics["false_alarm_rate_oracle"] == pytest.approx(1 / 3)
    assert metrics["recall"] == pytest.approx(1 / 3)
    assert metrics["recall_oracle"] == 1


def test_too_few_calibration_images_leave_the_rates_undefined(nut):
    changes = {"threshold": np.inf, "number": 0, "chosen": nut.chosen * 0, "alarm_rate": 0.05}
    metrics = evaluate({"nut": replace(nut, **changes)}, sigma=1.0).classes["nut"]
    assert metrics["false_alarm_rate"] is metrics["f1"] is None
    assert "19" in metrics["undefined"]["f1"]


@pytest.mark.parametrize(("rate", "images"), [(0.05, 19), (0.03, 33), (0.07, 14), (0.15, 6), (0.3, 3), (0.5, 1)])
def test_the_number_of_images_that_is_said_is_the_number_that_is_needed(nut, rate, images):
    assert np.isinf(alarm_threshold(np.arange(images - 1.0), rate))
    assert np.isfinite(alarm_threshold(np.arange(float(images)), rate))
    unwarranted = replace(nut, threshold=np.inf, number=0, chosen=nut.chosen * 0, alarm_rate=rate)
    reason = evaluate({"nut": unwarranted}, sigma=1.0).classes["nut"]["undefined"]["f1"]
    assert reason == f"fewer than {images} held-out normal images"


def test_every_product_alarms_at_its_own_rate(bolt, nut):
    """p-values are 1/2, 1/3, 1/4 and 1/11 to 1/13: at 0.3 one normal image alarms, at 0.2 none, at 0.08 one defect."""
    alone = {"routed": [bolt.own] * 2, "chosen": bolt.chosen * 0}
    products = {"bolt": replace(bolt, **alone, alarm_rate=0.3), "nut": replace(nut, alarm_rate=0.08)}
    evaluation = evaluate(products, sigma=1.0)
    assert evaluation.classes["bolt"]["false_alarm_rate"] == pytest.approx(1 / 3)
    assert evaluation.classes["nut"]["recall"] == pytest.approx(1 / 3)
    assert [evaluation.classes[name]["alarm_rate"] for name in products] == [0.3, 0.08]
    assert evaluation.summary["calibration"]["target"] == pytest.approx(0.19)


def test_calibration_summary_by_hand():
    rates = {"a": (0.05, 0.05, 0.01), "b": (0.05, 0.45, 0.30), "c": (0.05, None, None), "d": (0.3, 0.4, 0.2)}
    keys = ("alarm_rate", "false_alarm_rate_oracle", "false_alarm_low_oracle")
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


def test_tables_behind_the_plots_name_the_theft(bolt, nut):
    products = {"bolt": bolt, "nut": nut}
    distances = {"bolt": np.array([[1.0, 2.0]] * 3 + [[3.0, 2.0]] * 2 + [[1.0, 2.0]]), "nut": np.ones((6, 2))}
    table = stolen_table({name: [f"{row}.png" for row in range(6)] for name in products}, products, distances)
    assert table.to_dict("records") == [
        {"product": "bolt", "image": f"{row}.png", "thief": "nut", "distance_own": 3.0, "distance_thief": 2.0}
        for row in (3, 4)
    ]
    counts = confusion_table(products).value_counts().to_dict()
    assert counts == {("bolt", "bolt"): 4, ("bolt", "nut"): 2, ("nut", "nut"): 6}
    matrix = matrix_table(evaluate(products, sigma=1.0), ["t0", "t1"])
    assert matrix[["metric", "after", "product"]].values.tolist() == [
        ["image_auroc", "t0", "bolt"],
        ["image_auroc", "t1", "bolt"],
        ["image_auroc", "t1", "nut"],
    ]


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
    below = read_record(tmp_path / "one.h5", "test").arrays
    assert below.keys() == {"a"}
    np.testing.assert_array_equal(below["a"], record.arrays["test/a"])
    assert read.arrays["b"].tolist() == [b"x", b"yz"]
