"""Errors as a user sees them: one sentence, no traceback, for everything that a user can fix."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

Parameters = ParamSpec("Parameters")


class MoleflowError(Exception):
    """What a user can fix: the message names the value, the file or key, and the way out."""


def told_plainly(main: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Decorates the main function of a stage or command: a MoleflowError ends it with one line and exit status 1.

    All other errors keep their traceback: they are bugs.

    Args:
        main: the function.

    Returns:
        The function that exits instead of raising a MoleflowError.
    """

    @wraps(main)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except MoleflowError as error:
            sys.exit(f"error: {error}")

    return run
