"""Errors as a user sees them: one sentence, no traceback, for everything that a user can mend."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

Parameters = ParamSpec("Parameters")


def told_plainly(main: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Decorates a stage's main: a moleflow error ends it with one line and exit status 1.

    Errors of other packages keep their traceback: they are ours to mend.
    """

    @wraps(main)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except Exception as error:
            if not type(error).__module__.startswith("moleflow."):
                raise
            sys.exit(f"error: {error}")

    return run
