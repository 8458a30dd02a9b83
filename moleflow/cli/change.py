"""Changes of what params.yaml lists, by `dvc repro`: all or nothing, with proof that no other artifact moved."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from moleflow.config.errors import MoleflowError
from moleflow.files.committed import lock_stages
from moleflow.files.paths import Paths

Digests = dict[str, str]


class ChangeError(MoleflowError):
    """A change failed, and was undone."""


@contextmanager
def all_or_nothing(paths: Paths) -> Iterator[None]:
    """Puts params.yaml, dvc.lock, the metrics and all that DVC tracks back if something fails.

    Args:
        paths: the repository's paths.

    Yields:
        Nothing.

    Raises:
        ChangeError: `dvc repro` failed.
    """
    kept = [path for path in (paths.params, paths.root / "dvc.lock", paths.metrics) if path.exists()]
    with TemporaryDirectory(prefix="moleflow-") as folder:
        copies = {path: Path(folder) / path.name for path in kept}
        for path, copy in copies.items():
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, copy)
        try:
            yield
        except BaseException:
            for path, copy in copies.items():
                if copy.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                    shutil.copytree(copy, path)
                else:
                    shutil.copy2(copy, path)
            _dvc("checkout", "--force", "--quiet", check=False)
            print("undone: params.yaml, dvc.lock and metrics/ are as before", file=sys.stderr)
            raise


def path_to_list(folder: Path) -> str:
    """How params.yaml should name a folder: experiments run in copies, so what lies outside gets its absolute path.

    Args:
        folder: the folder.

    Returns:
        Its path, below the working folder a relative one.
    """
    whole, here = folder.expanduser().absolute(), Path().absolute()
    return (whole.relative_to(here) if whole.is_relative_to(here) else whole).as_posix()


def repro() -> None:
    """Runs `dvc repro` with its progress; only the default products are not made if nothing needs them.

    Raises:
        ChangeError: it failed.
    """
    if _dvc("repro", "report"):
        raise ChangeError("`dvc repro` failed; what it says stands above")


def _dvc(*arguments: str, check: bool = True) -> int:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False, capture_output=not check).returncode


def product_digests(paths: Paths) -> Digests:
    """What dvc.lock says of artifacts that belong to a product, a task or the base.

    Args:
        paths: the repository's paths.

    Returns:
        Digest by path; none if nothing ran yet.
    """
    stages = lock_stages(paths.root)
    owned = {name: entry for name, entry in stages.items() if "@" in name or name == "base"}
    owned = {name: entry for name, entry in owned.items() if not name.startswith("baseline@")}
    return {out["path"]: out["md5"] for entry in owned.values() for out in entry.get("outs", [])}


def proof(before: Digests, after: Digests) -> str:
    """Whether older artifacts moved.

    Args:
        before: digests before a change.
        after: digests after it.

    Returns:
        A sentence that counts those that stayed, and names those that did not.
    """
    both = [path for path in before if path in after]
    moved = [path for path in both if before[path] != after[path]]
    stayed = f"dvc.lock: {len(both) - len(moved)} older artifacts have the digests that they had"
    return f"{stayed}, {len(moved)} moved: {', '.join(moved)}" if moved else f"{stayed}, none moved"
