import pytest
import torch

from moleflow.learning.losses import tail_aware_loss

NLL = torch.arange(32.0).view(2, 4, 4)
LOG_DET = torch.full((2, 4, 4), 3.0)


def loss(**changes):
    arguments = {"tail_weight": 0.7, "tail_ratio": 0.125, "lambda_logdet": 0.0}
    return tail_aware_loss(NLL, LOG_DET, **{**arguments, **changes}).item()


def test_weight_zero_is_the_mean_nll():
    assert loss(tail_weight=0.0) == pytest.approx(15.5)


def test_weight_one_is_the_mean_of_each_images_largest():
    assert loss(tail_weight=1.0) == pytest.approx((14.5 + 30.5) / 2)  # k = 16 · 0.125 = 2


def test_between_it_is_their_mixture_on_the_same_scale():
    assert loss() == pytest.approx(0.3 * 15.5 + 0.7 * 22.5)


def test_tail_has_at_least_one_patch():
    assert loss(tail_weight=1.0, tail_ratio=0.001) == pytest.approx((15 + 31) / 2)


def test_log_det_is_penalized_by_its_square_and_zero_leaves_it_free():
    assert loss(lambda_logdet=0.5) - loss() == pytest.approx(0.5 * 9)
