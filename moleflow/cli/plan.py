"""What `dvc repro` will run, according to DVC itself."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from moleflow.cli.change import alone
from moleflow.config.errors import MoleflowError
from moleflow.files.artifacts import written_whole
from moleflow.files.paths import Paths


class PlanError(MoleflowError):
    """DVC cannot say what will run."""


@contextmanager
def planned(paths: Paths) -> Iterator[None]:
    """Brings data/check up to date with a change of params.yaml, and prints what `dvc repro` will run.

    Args:
        paths: the repository's paths.

    Yields:
        Nothing; params.yaml is changed in the `with` block, and is as it was if something fails.

    Raises:
        ParamsError: params.yaml is wrong.
        PlanError: DVC cannot say what will run, as in a folder that lies in no DVC repository.
        ChangeError: another change, or DVC, is at work here.
    """
    with alone(paths.root):
        before = paths.params.read_bytes() if paths.params.is_file() else None
        try:
            yield
            refresh_check(paths)
            stages = planned_stages()
        except BaseException:
            if before is not None:
                with written_whole(paths.params) as partial:
                    partial.write_bytes(before)
                with suppress(MoleflowError):  # it was wrong before, too
                    refresh_check(paths)
            raise
    print("\n`dvc repro` will run" + (":" if stages else " nothing."))
    for kind, parts in stages.items():
        print(f"  {kind:<10} {', '.join(parts)}".rstrip())


def refresh_check(paths: Paths) -> None:
    """Brings data/check up to date with params.yaml, as `dvc repro check` would.

    Args:
        paths: the repository's paths.

    Raises:
        ParamsError: params.yaml is wrong.
    """
    from stages.check import write_check  # takes a second to import, because of the backbones

    write_check(paths)


def planned_stages() -> dict[str, list[str]]:
    """Stages that changed, and all that build on them; DVC may restore some of these from its cache.

    data/check has to be up to date (`stages.check.write_check`): the stages that build on it are found by comparing
    its files with those in dvc.lock, so the stage check itself does not count as a change.

    Returns:
        Kind of stage to the products or tasks it runs for, both in the order of dvc.yaml and
        params.yaml; none for a stage that has no such parts.

    Raises:
        PlanError: the folder lies in no DVC repository, or others are at work there.
    """
    import networkx
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo  # takes a second to import

    planned: dict[str, list[str]] = {}
    try:
        opened = Repo()
    except NotDvcRepoError as error:
        raise PlanError(
            "this folder lies in no DVC repository, so nothing can run here; `dvc init` makes one"
        ) from error
    with opened as repo:
        try:
            changed, graph = set(repo.status()), repo.index.graph
        except DvcException as error:  # such as its lock, which others hold
            raise PlanError(f"DVC cannot say what will run: {error}") from error
        moved = {stage for stage in graph if stage.addressing in changed}
        moved |= {above for stage in moved if stage.name != "check" for above in networkx.ancestors(graph, stage)}
        for stage in repo.index.stages:
            if stage in moved:
                kind, _, part = stage.name.partition("@")
                planned.setdefault(kind, []).extend([part] if part else [])
    return planned
