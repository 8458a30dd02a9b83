"""dvc.lock and params.yaml as they are, or as a commit has them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from moleflow.config.errors import MoleflowError

Stages = dict[str, Any]


class CommitError(MoleflowError):
    """There is no such commit, or it lacks a file."""


def lock_stages(root: Path, rev: str | None = None) -> Stages:
    """What dvc.lock says of every stage that ran.

    Args:
        root: the repository.
        rev: a commit, branch or tag; None for the file as it lies there.

    Returns:
        By name of the stage its entry, with deps and outs; none if nothing ran yet.

    Raises:
        CommitError: there is no such commit, or it lacks the file.
    """
    path = root / "dvc.lock"
    if rev is not None:
        content = committed(root, rev, path.name)
    else:
        content = YAML(typ="safe").load(path) if path.exists() else None
    stages: Stages = (content or {}).get("stages", {})
    return stages


def committed(root: Path, rev: str, name: str) -> Any:
    """A YAML file of a commit.

    Args:
        root: the repository.
        rev: a commit, branch or tag.
        name: of the file in the repository's top folder.

    Returns:
        Its content.

    Raises:
        CommitError: there is no such commit, or it lacks the file.
    """
    git = shutil.which("git")
    if git is None:
        raise CommitError("there is no git on the PATH, which knows what a commit holds")
    done = subprocess.run(
        [git, "show", f"{rev}:./{name}"], cwd=root, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise CommitError(f"{rev} has no {name} ({done.stderr.strip()})")
    return YAML(typ="safe").load(done.stdout)
