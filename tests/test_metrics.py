"""Law 8: agreement with scikit-learn; undefined metrics are None with a reason."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from moleflow.metrics import ranking


@pytest.mark.parametrize("decimals", [1, 2, 12])  # few decimals make many ties
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_agrees_with_scikit_learn(decimals, share):
    rng = np.random.default_rng(0)
    labels = rng.random((20, 30)) < share
    scores = np.round(rng.normal(size=labels.shape) + labels, decimals).astype(np.float32)
    result = ranking(labels, scores)
    assert result.auroc == pytest.approx(roc_auc_score(labels.ravel(), scores.ravel()), abs=1e-9)
    assert result.ap == pytest.approx(average_precision_score(labels.ravel(), scores.ravel()), abs=1e-9)
    assert result.reason == ""


def test_hand_computed():
    result = ranking(np.array([1, 0, 1, 0]), np.array([4.0, 3.0, 2.0, 1.0]))
    assert result.auroc == pytest.approx(0.75)
    assert result.ap == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_order_of_images_changes_nothing():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(50) < 0.3, rng.integers(0, 9, 50).astype(float)
    shuffled = rng.permutation(50)
    assert ranking(labels, scores) == ranking(labels[shuffled], scores[shuffled])


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
    assert (result.auroc, result.ap) == (None, None)
    assert reason in result.reason


def test_nan_is_an_error_and_never_a_score():
    with pytest.raises(ValueError, match="not finite"):
        ranking(np.array([0, 1]), np.array([0.0, np.nan]))
