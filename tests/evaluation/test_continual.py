"""The account of forgetting: misrouting is told as misrouting, lost weights as lost weights."""

import numpy as np
import pytest

from moleflow.evaluation.continual import Account, continual_account

NAN = np.nan


def test_account_by_hand():
    own = np.array([[0.9, NAN, NAN], [0.9, 0.8, NAN], [0.9, 0.8, 0.7]])
    routed = np.array([[0.9, NAN, NAN], [0.7, 0.8, NAN], [0.8, 0.75, 0.7]])
    account = continual_account(own, routed)
    assert account["forgetting"].own_expert == 0
    assert account["forgetting"].total == account["forgetting"].routing == pytest.approx((0.1 + 0.05) / 2)
    assert account["backward_transfer"].total == pytest.approx(-(0.1 + 0.05) / 2)
    assert account["average_incremental"].total == pytest.approx((0.9 + 0.75 + 0.75) / 3)
    assert account["average_incremental"].own_expert == pytest.approx((0.9 + 0.85 + 0.8) / 3)


def test_forgetting_counts_from_the_best_and_transfer_from_the_arrival():
    matrix = np.array([[0.5, NAN, NAN], [0.9, 0.8, NAN], [0.7, 0.8, 0.6]])
    account = continual_account(matrix, matrix)
    assert account["forgetting"].total == pytest.approx((0.2 + 0) / 2)
    rising = np.array([[0.5, NAN], [0.6, 0.8]])
    assert continual_account(rising, rising)["forgetting"].total == pytest.approx(-0.1)  # the last task is not earlier
    assert account["backward_transfer"].total == pytest.approx((0.2 + 0) / 2)


def test_lost_weights_are_not_blamed_on_the_router():
    matrix = np.array([[0.9, NAN], [0.6, 0.8]])
    lost = continual_account(matrix, matrix)["forgetting"]
    assert lost.own_expert == lost.total == pytest.approx(0.3)
    assert lost.routing == pytest.approx(0)


def test_one_task_cannot_forget_and_an_undefined_metric_has_no_account():
    account = continual_account(np.ones((1, 2)), np.ones((1, 2)))
    assert account["forgetting"] == account["backward_transfer"] == Account(None, None, None)
    assert account["average_incremental"].total == 1
    assert continual_account(np.full((2, 2), NAN), np.full((2, 2), NAN))["average_incremental"].total is None


def test_a_metric_that_misrouting_leaves_undefined_has_no_account():
    """As where all scores are equal after the second task: no mean is taken over fewer products."""
    own = np.array([[0.9, NAN], [0.9, 0.8]])
    routed = np.array([[0.9, NAN], [NAN, 0.8]])
    for figure, account in continual_account(own, routed).items():
        assert account.total is account.routing is None, figure
        assert account.own_expert is not None
