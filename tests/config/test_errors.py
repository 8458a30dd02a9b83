"""What a user can mend is told in one line; everything else keeps its traceback."""

import subprocess
import sys

import pytest

from moleflow.config.errors import MoleflowError, told_plainly
from moleflow.config.params import ParamsError


@told_plainly
def main(error=None, *, found=None):
    """What main says of itself."""
    if error is not None:
        raise error
    if found is not None:
        found.append("ran")


@pytest.mark.parametrize("kind", [MoleflowError, ParamsError])
def test_what_a_user_can_mend_ends_with_one_line(kind):
    with pytest.raises(SystemExit) as ended:
        main(kind("lr: must be above 0, not -1"))
    assert ended.value.code == "error: lr: must be above 0, not -1"


def test_the_exit_status_is_1_and_there_is_no_traceback():
    script = (
        "from moleflow.config.errors import MoleflowError, told_plainly\n"
        "@told_plainly\n"
        "def main():\n"
        "    raise MoleflowError('lr: too high')\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: lr: too high\n")


@pytest.mark.parametrize("error", [ValueError("a"), KeyError("b"), RuntimeError("c"), KeyboardInterrupt()])
def test_other_errors_pass_through(error):
    with pytest.raises(type(error)) as raised:
        main(error)
    assert raised.value is error


def test_without_an_error_it_is_the_function_itself():
    found = []
    main(found=found)
    assert found == ["ran"]
    assert (main.__name__, main.__doc__) == ("main", "What main says of itself.")
