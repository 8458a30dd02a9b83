"""What a commit holds, fetched by DVC."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from moleflow.config.errors import MoleflowError


class RevisionError(MoleflowError):
    """A commit, or what it held, cannot be had."""


def fetch(
    source: str | Path, rev: str, wanted: Iterable[Path], optional: Iterable[Path] = ()
) -> "TemporaryDirectory[str]":
    """Fetches files and folders as they were at a commit, whether Git or DVC holds them.

    Args:
        source: a repository, or the address of one.
        rev: its commit, branch or tag.
        wanted: their paths in the repository.
        optional: paths of which there may be none.

    Returns:
        A temporary folder that holds them under these paths.

    Raises:
        RevisionError: there is no such repository or commit, or a file is in none of Git, DVC's cache and its remote.
    """
    from dvc.api import DVCFileSystem  # takes a second to import
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    folder = TemporaryDirectory(prefix="moleflow-")
    try:
        files = DVCFileSystem(url=str(source), rev=rev)
        for path in [*wanted, *(path for path in optional if files.exists(path.as_posix()))]:
            target = Path(folder.name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            files.get(path.as_posix(), str(target), recursive=True)
    except (DvcException, SCMError, OSError) as error:
        folder.cleanup()
        reason = str(error).strip().splitlines()
        raise RevisionError(
            f"{source} at {rev} cannot be had ({reason[0] if reason else type(error).__name__}); "
            "check the commit's name, or run `dvc pull` or `dvc repro` there"
        ) from error
    return folder
