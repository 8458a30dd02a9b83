"""Artifacts of a commit, fetched by DVC."""

from pathlib import Path
from tempfile import TemporaryDirectory

from moleflow.config.errors import MoleflowError
from moleflow.files.paths import Paths


class RevisionError(MoleflowError):
    """A commit or its artifacts cannot be had."""


def fetch(source: str | Path, rev: str) -> "TemporaryDirectory[str]":
    """Fetches what is needed to judge images as a commit did.

    Args:
        source: a repository, or the address of one.
        rev: its commit, branch or tag.

    Returns:
        A temporary folder that holds the artifacts in data/.

    Raises:
        RevisionError: there is no such repository or commit, or an artifact is neither in its cache nor in its remote.
    """
    from dvc.api import DVCFileSystem  # takes a second to import
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    folder = TemporaryDirectory(prefix="moleflow-")
    try:
        files = DVCFileSystem(url=str(source), rev=rev)
        there, here = Paths(Path()), Paths(Path(folder.name))
        here.router.parent.mkdir(parents=True)
        for ours, theirs in (
            (here.router, there.router),
            (here.tasks, there.tasks),
            (here.experts, there.experts),
            (here.scorers.path, there.scorers.path),
        ):
            files.get(theirs.as_posix(), str(ours), recursive=True)
    except (DvcException, SCMError, OSError) as error:
        folder.cleanup()
        reason = str(error).strip().splitlines()
        raise RevisionError(
            f"{source} at {rev}: the artifacts cannot be had ({reason[0] if reason else type(error).__name__}); "
            "check the commit's name, or run `dvc pull` or `dvc repro` there"
        ) from error
    return folder
