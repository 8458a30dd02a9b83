"""A product of two that loses two images to the other."""

import pytest
from samples import misrouted, outcome

from moleflow.evaluation.outcomes import Outcome


@pytest.fixture
def bolt() -> Outcome:
    """From the second task on, nut attracts images 3 and 4."""
    return outcome(0, [[0, 0], [0, 0], [0, 0], [0, 1], [0, 1], [0, 0]], misrouted([3, 4], [0.0, 2.5]))


@pytest.fixture
def nut() -> Outcome:
    return outcome(1, [[1]] * 6, {})
