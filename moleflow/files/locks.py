"""A file that one process at a time holds, so that others wait or are refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from moleflow.config.errors import MoleflowError
from moleflow.files.artifacts import ArtifactError


@contextmanager
def locked(path: Path, otherwise: MoleflowError | None = None) -> Iterator[None]:
    """Holds a lock, which ends with the process at the latest.

    Args:
        path: the file of the lock, which stays; its folder has to exist.
        otherwise: what to raise if another process holds it; None to wait.

    Yields:
        Nothing; the lock is held in the `with` block.

    Raises:
        otherwise: another process holds it.
        ArtifactError: the file cannot be written.
    """
    try:
        held = FileLock(path).acquire(timeout=-1 if otherwise is None else 0)
    except Timeout as error:
        if otherwise is None:
            raise
        raise otherwise from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be written ({error.strerror}); change its permissions") from error
    with held:
        yield
