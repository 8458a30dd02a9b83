"""Changes of what params.yaml lists, by `dvc repro`: all or nothing, with proof that no other artifact moved."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from moleflow.config.errors import MoleflowError
from moleflow.files.artifacts import written_whole
from moleflow.files.committed import lock_stages
from moleflow.files.locks import locked
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.tidying import tidy

Digests = dict[str, str]


class ChangeError(MoleflowError):
    """A change failed, and was undone, or cannot begin."""


class Change:
    """A change that is under way.

    Attributes:
        started: whether `dvc repro` was started, so that outputs of stages may not be as before.
    """

    def __init__(self) -> None:
        """Nothing has run yet."""
        self.started = False

    def repro(self) -> None:
        """Runs `dvc repro` with its progress; only the default products are not made if nothing needs them.

        Raises:
            ChangeError: it failed.
        """
        self.started = True
        if _dvc("repro", "report"):
            raise ChangeError("`dvc repro` failed; what it says stands above")


@contextmanager
def all_or_nothing(paths: Paths) -> Iterator[Change]:
    """Puts params.yaml, dvc.lock, the metrics and data/check back if something fails.

    So is what the pipeline's stages made, if they were started. Nothing else is touched: no file of images, whether DVC
    tracks it or not.

    Args:
        paths: the repository's paths.

    Yields:
        The change, which runs the stages.

    Raises:
        ChangeError: `dvc repro` failed; or another change, or DVC, is at work here.
    """
    with alone(paths.root):
        saved, change = _Saved((paths.params, paths.root / "dvc.lock", paths.metrics, paths.check)), Change()
        try:
            yield change
        except BaseException:
            with _failure_told(saved, paths):
                saved.restore()
                if change.started:
                    _undo(paths)
                saved.drop()
            raise
        saved.drop()


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Refuses to begin while others change the same files: to undo one change would be to undo theirs.

    Args:
        root: the repository's folder.

    Yields:
        Nothing; other changes are refused during the `with` block.

    Raises:
        ChangeError: another change, or DVC, is at work here.
    """
    from dvc.exceptions import NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo  # takes a second to import

    try:
        opened = Repo(os.fspath(root))
    except NotDvcRepoError:  # as `dvc repro` will say
        yield
        return
    folder, later = Path(str(opened.tmp_dir)), "run this again once it has ended"
    another = ChangeError(f"another change of products is under way; {later}")
    with opened as repo, locked(folder / "moleflow.lock", otherwise=another):
        try:
            with repo.lock:  # held between stages; during one, DVC notes what it reads and writes
                at_work = _stages_at_work(folder / "rwlock")
        except LockError as error:
            raise ChangeError(f"DVC is at work here; {later}") from error
        if at_work:
            raise ChangeError(
                f"DVC is at work here, {at_work[0]}; {later}, or remove {folder / 'rwlock'} if there is no such process"
            )
        yield


def _stages_at_work(rwlock: Path) -> list[str]:
    """Commands of DVC that run a stage now, by its file of what they read and write."""
    try:
        noted = json.loads(rwlock.read_text(encoding="utf-8"))
        readers = [each for found in noted.get("read", {}).values() for each in found]
        holders = [(each["pid"], each["cmd"]) for each in (*readers, *noted.get("write", {}).values())]
    except (OSError, ValueError, AttributeError, TypeError, KeyError):  # there is none, or none that DVC would read
        return []
    return [f"process {pid}: {command}" for pid, command in holders if pid != os.getpid() and _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        with suppress(PermissionError):  # another user's
            os.kill(pid, 0)
    except ProcessLookupError:  # it was killed, and could not take its note away
        return False
    return True


class _Saved:
    """Copies of files and folders as they were."""

    def __init__(self, changed: tuple[Path, ...]) -> None:
        self.changed, self.folder = changed, Path(mkdtemp(prefix="moleflow-"))
        for path in changed:
            if path.exists():
                _copy(path, self.folder / path.name)

    def restore(self) -> None:
        for path in self.changed:
            copy = self.folder / path.name
            if copy.exists():
                with written_whole(path) as partial:
                    _copy(copy, partial)
            else:
                _remove(path)

    def drop(self) -> None:
        shutil.rmtree(self.folder)


@contextmanager
def _failure_told(saved: _Saved, paths: Paths) -> Iterator[None]:
    """Says what cannot be undone: raised, it would hide what went wrong first."""
    try:
        yield
    except (MoleflowError, OSError) as error:
        print(
            f"not undone ({error}): {paths.params}, dvc.lock, metrics/ and {paths.check} as they were lie in "
            f"{saved.folder}; put them back and run `dvc checkout --force dvc.yaml`",
            file=sys.stderr,
        )


def _undo(paths: Paths) -> None:
    """Restores the outputs of stages, and deletes those of what is no longer listed."""
    if not (paths.root / "dvc.lock").exists():
        return
    failed = _dvc("checkout", "--force", "--quiet", "dvc.yaml")
    if paths.order.exists():  # not in a fresh clone, where nothing is to be deleted either
        order = read_order(paths.order)
        tidy(paths, order, paths.index, paths.overviews, paths.features, paths.probes, paths.statistics)
        tidy(paths, order, paths.tasks, paths.experts, paths.curves, paths.scores, paths.scorers)
    rest = "; `dvc checkout` did not bring back all outputs, the next `dvc repro` makes them again" if failed else ""
    print(f"undone: params.yaml, dvc.lock, metrics/ and data/ are as before{rest}", file=sys.stderr)


def _copy(path: Path, to: Path) -> None:
    (shutil.copytree if path.is_dir() else shutil.copy2)(path, to)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def path_to_list(folder: Path) -> str:
    """How params.yaml should name a folder: experiments run in copies, so what lies outside gets its absolute path.

    Args:
        folder: the folder.

    Returns:
        Its path, below the working folder a relative one.

    Raises:
        ChangeError: it is the working folder itself, as an empty argument would be.
    """
    whole, here = Path(os.path.abspath(folder.expanduser())), Path(os.path.abspath("."))
    if whole == here:
        raise ChangeError(f"{here} is the repository itself; name the folder that holds the images")
    return (whole.relative_to(here) if whole.is_relative_to(here) else whole).as_posix()


def _dvc(*arguments: str) -> int:
    """Exit status of a DVC command, which is never left running: after Ctrl-C, DVC ends its stage first."""
    process = subprocess.Popen([sys.executable, "-m", "dvc", *arguments])
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


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
