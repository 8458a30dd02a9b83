"""Law 8: agreement with scikit-learn and with a slow AUPRO; undefined metrics are None with a reason."""

import numpy as np
import pytest
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from moleflow.evaluation.metrics import alarm_metrics, pixel_ranking, ranking, roc_curve


@pytest.mark.parametrize("decimals", [1, 2, 12])  # few decimals make many ties
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_agrees_with_scikit_learn(decimals, share):
    rng = np.random.default_rng(0)
    labels = rng.random(600) < share
    scores = np.round(rng.normal(size=labels.shape) + labels, decimals).astype(np.float32)
    result = ranking(labels, scores)
    assert result.auroc == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert result.ap == pytest.approx(average_precision_score(labels, scores), abs=1e-9)
    precision, recall, _ = precision_recall_curve(labels, scores)
    best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
    assert result.best_f1 == pytest.approx(best, abs=1e-9)
    assert result.aupro is None
    assert result.reason == ""


def test_hand_computed():
    result = ranking(np.array([1, 0, 1, 0]), np.array([4.0, 3.0, 2.0, 1.0]))
    assert result.auroc == pytest.approx(0.75)
    assert result.ap == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert result.best_f1 == pytest.approx(0.8)


def slow_aupro(masks, maps, limit=0.3):
    """Threshold by threshold: false-positive rate against the mean share of each region."""
    regions = [(image, labeled == number) for image, (labeled, count) in
               enumerate(label(mask, np.ones((3, 3))) for mask in masks) for number in range(1, count + 1)]  # fmt: skip
    fallout, overlap = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        found = maps >= threshold
        fallout.append(found[~masks].mean())
        overlap.append(np.mean([found[image][region].mean() for image, region in regions]))
    fallout, overlap = np.array(fallout), np.array(overlap)
    within = fallout < limit
    ends = np.append(fallout[within], limit)
    return np.trapezoid(np.append(overlap[within], np.interp(limit, fallout, overlap)), ends) / limit


@pytest.mark.parametrize("decimals", [1, 2, 12])
def test_aupro_agrees_with_the_slow_direct_one(decimals):
    rng = np.random.default_rng(0)
    masks = np.zeros((4, 16, 16), bool)
    masks[0, 2:5, 2:5] = masks[0, 5, 5] = True  # touching at a corner: one region
    masks[0, 10:15, 10:12] = masks[2, 8, 8] = True
    maps = np.round(rng.normal(size=masks.shape) + 1.5 * masks, decimals).astype(np.float32)
    result = pixel_ranking(masks, maps)
    assert result.aupro == pytest.approx(slow_aupro(masks, maps), abs=1e-6)
    assert result.auroc == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-9)
    assert result.ap == pytest.approx(average_precision_score(masks.ravel(), maps.ravel()), abs=1e-9)


def test_aupro_by_hand_weighs_regions_alike():
    """A big region found before any false alarm, a small one only after all: half of the overlap."""
    masks = np.zeros((1, 4, 4), bool)
    masks[0, :2], masks[0, 3, 3] = True, True
    maps = np.where(masks, 2.0, 1.0)
    maps[0, 3, 3] = 0.0
    assert pixel_ranking(masks, maps).aupro == pytest.approx(0.5)
    assert pixel_ranking(masks, masks.astype(float)).aupro == pytest.approx(1.0)


def test_order_of_images_changes_nothing():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(50) < 0.3, rng.integers(0, 9, 50).astype(float)
    shuffled = rng.permutation(50)
    assert vars(ranking(labels, scores)) == pytest.approx(vars(ranking(labels[shuffled], scores[shuffled])), abs=1e-12)
    masks, maps = rng.random((9, 8, 8)) < 0.1, rng.integers(0, 5, (9, 8, 8)).astype(float)
    order = rng.permutation(9)
    straight, permuted = vars(pixel_ranking(masks, maps)), vars(pixel_ranking(masks[order], maps[order]))
    assert permuted == pytest.approx(straight, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "reason"),
    [
        ([0, 0], [1.0, 2.0], "0 defective and 2 normal"),
        ([1, 1], [1.0, 2.0], "2 defective and 0 normal"),
        ([0, 1], [1.0, 1.0], "all scores are equal"),
    ],
)
def test_degenerate_cases_are_none_with_a_reason(labels, scores, reason):
    result = ranking(np.array(labels), np.array(scores))
    assert (result.auroc, result.ap, result.best_f1) == (None, None, None)
    assert reason in result.reason


def test_masks_without_a_defective_pixel_are_none_with_a_reason():
    result = pixel_ranking(np.zeros((2, 3, 3), bool), np.random.default_rng(0).random((2, 3, 3)))
    assert (result.auroc, result.ap, result.aupro) == (None, None, None)
    assert "no pixel is marked" in result.reason


def test_nan_is_an_error_and_never_a_score():
    with pytest.raises(ValueError, match="not finite"):
        ranking(np.array([0, 1]), np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="not finite"):
        pixel_ranking(np.eye(2, dtype=bool)[None], np.full((1, 2, 2), np.nan))


def test_alarms_by_hand():
    result = alarm_metrics(np.array([0] * 10 + [1] * 4), np.array([True] + [False] * 9 + [True, True, True, False]))
    assert (result.precision, result.recall, result.f1) == (0.75, 0.75, 0.75)
    assert result.false_alarm_rate == 0.1
    # Clopper-Pearson for 1 of 10, as in statistical tables
    assert (result.false_alarm_low, result.false_alarm_high) == pytest.approx((0.0025, 0.4450), abs=1e-4)


def test_alarms_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    labels, alarms = rng.integers(0, 2, 60), rng.random(60) < 0.4
    assert alarm_metrics(labels, alarms).f1 == pytest.approx(f1_score(labels, alarms))


def test_alarms_without_one_kind_of_image_are_none():
    normal = alarm_metrics(np.zeros(5, int), np.zeros(5, bool))
    assert (normal.precision, normal.recall, normal.f1, normal.false_alarm_rate) == (None, None, None, 0.0)
    assert alarm_metrics(np.ones(5, int), np.ones(5, bool)).false_alarm_rate is None


def test_roc_curve_encloses_the_auroc():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 80), rng.integers(0, 20, 80).astype(float)
    fallout, recall, precision = roc_curve(labels, scores)
    area = np.trapezoid(np.append(0, recall), np.append(0, fallout))
    assert area == pytest.approx(ranking(labels, scores).auroc)
    assert np.sum(np.diff(np.append(0, recall)) * precision) == pytest.approx(ranking(labels, scores).ap)
