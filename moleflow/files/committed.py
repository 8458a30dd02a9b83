"""dvc.lock and params.yaml as they are, or as a commit has them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from moleflow.config.errors import MoleflowError

Stages = dict[str, Any]


class CommitError(MoleflowError):
    """There is no such commit, or it lacks a file, or a file cannot be read."""


def lock_stages(root: Path, rev: str | None = None) -> Stages:
    """What dvc.lock says of every stage that ran.

    Args:
        root: the repository.
        rev: a commit, branch or tag; None for the file as it lies there.

    Returns:
        By name of the stage its entry, with deps and outs; none if nothing ran yet.

    Raises:
        CommitError: there is no such commit, or it lacks the file, or the file is not YAML, as after a merge that left
            conflict marks in it.
    """
    path = root / "dvc.lock"
    if rev is not None:
        content = committed(root, rev, path.name)
    else:
        way_out = f"after a merge, `git checkout --ours {path.name}` takes one side of it and `dvc repro` does the rest"
        content = _parsed(path.read_bytes(), str(path), way_out) if path.exists() else None
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
        CommitError: there is no such commit, or it lacks the file, or the file is not YAML.
    """
    git = shutil.which("git")
    if git is None:
        raise CommitError("there is no git on the PATH, which knows what a commit holds")
    done = subprocess.run([git, "show", f"{rev}:./{name}"], cwd=root, capture_output=True, check=False)
    if done.returncode:
        raise CommitError(f"{rev} has no {name} ({done.stderr.decode(errors='replace').strip()})")
    return _parsed(done.stdout, f"{name} of {rev}", "choose another commit")


def _parsed(text: bytes, name: str, way_out: str) -> Any:
    """The content of a YAML file, which has keys or is empty."""
    try:
        content = YAML(typ="safe").load(text)
    except (YAMLError, ValueError) as error:
        raise CommitError(f"{name} is not YAML ({str(error).splitlines()[0]}); {way_out}") from error
    if not isinstance(content, dict | None):
        raise CommitError(f"{name} has no keys; {way_out}")
    return content
