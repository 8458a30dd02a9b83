"""Folds of a product's normal images."""

import numpy as np

from moleflow.features.folds import fold_numbers


def test_folds_are_nearly_equal_and_always_the_same():
    numbers = fold_numbers(23, 5)
    assert sorted(np.bincount(numbers).tolist()) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(numbers, fold_numbers(23, 5))
