"""One process at a time: others wait, or are told."""

from threading import Event, Thread

import pytest

from moleflow.config.errors import MoleflowError
from moleflow.files.artifacts import ArtifactError
from moleflow.files.locks import locked


def test_who_does_not_want_to_wait_is_told(tmp_path):
    lock, busy = tmp_path / "lock", MoleflowError("busy")
    with locked(lock), pytest.raises(MoleflowError, match="busy"), locked(lock, otherwise=busy):
        pass
    with locked(lock, otherwise=busy):
        pass


def test_others_wait(tmp_path):
    order, started = [], Event()

    def second():
        started.set()
        with locked(tmp_path / "lock"):
            order.append("second")

    other = Thread(target=second)
    with locked(tmp_path / "lock"):
        other.start()
        started.wait()
        other.join(0.2)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_a_place_that_takes_no_lock_is_named(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(ArtifactError, match=r"lock cannot be written"), locked(tmp_path / "lock"):
        pass
