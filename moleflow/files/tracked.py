"""Which folders Git and DVC track, and so are in the copies that DVC makes for experiments with --queue or --temp."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from moleflow.config.params import read_params


def travels(path: str, root: Path) -> bool:
    """Whether a copy of the repository that DVC makes for an experiment can read a path.

    Args:
        path: as params.yaml has it.
        root: the top of the repository.

    Returns:
        True if it is absolute, or Git or DVC tracks it.
    """
    git = shutil.which("git")
    if Path(path).is_absolute() or is_made_by_dvc(path, root) or git is None:
        return True
    listed = subprocess.run([git, "ls-files", "--", path], cwd=root, capture_output=True, text=True, check=False)
    return bool(listed.stdout)


def is_copy(root: Path) -> bool:
    """Whether a repository is a copy that DVC made for an experiment.

    Args:
        root: its top.

    Returns:
        True in a folder below .dvc/tmp.
    """
    return ".dvc/tmp/" in f"{root.absolute().as_posix()}/"


def is_made_by_dvc(path: str, root: Path) -> bool:
    """Whether a path is, or lies in, an output of a stage in dvc.yaml or something that a .dvc file tracks.

    Args:
        path: as params.yaml has it: absolute, or relative to `root`.
        root: the top of the repository.

    Returns:
        True if DVC makes it.
    """
    below = (root / path).absolute()
    places = [below, *below.parents]
    if any(place.with_name(f"{place.name}.dvc").is_file() for place in places[:-1]):
        return True
    relative = [
        place.relative_to(root.absolute()).as_posix() for place in places if place.is_relative_to(root.absolute())
    ]
    return any(re.fullmatch(output, each) for output in _outputs(root / "dvc.yaml") for each in relative)


def _outputs(pipeline: Path) -> Iterator[str]:
    """Regular expressions of the outputs of all stages; ${…} stands for any part of a path."""
    if not pipeline.is_file():
        return
    for stage in read_params(pipeline).get("stages", {}).values():
        for output in stage.get("do", stage).get("outs", ()):
            name = output if isinstance(output, str) else next(iter(output))
            yield "[^/]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", name)))
