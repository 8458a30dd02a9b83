"""What `dvc repro` will do, asked of DVC itself."""

import networkx
from dvc.repo import Repo


def planned_stages() -> dict[str, list[str]]:
    """Stages that changed, and all that build on them, which may turn out to be known already.

    data/check has to be up to date (`stages.check.write_check`): what builds on it is told by its files, each compared
    with the one that dvc.lock knows, so that the stage check itself sets nothing in motion.

    Returns:
        Kind of stage to the products or tasks it runs for, both in the order of dvc.yaml and
        params.yaml; none for a stage that has no such parts.
    """
    planned: dict[str, list[str]] = {}
    with Repo() as repo:
        changed, graph = set(repo.status()), repo.index.graph
        moved = {stage for stage in graph if stage.addressing in changed}
        moved |= {above for stage in moved if stage.name != "check" for above in networkx.ancestors(graph, stage)}
        for stage in repo.index.stages:
            if stage in moved:
                kind, _, part = stage.name.partition("@")
                planned.setdefault(kind, []).extend([part] if part else [])
    return planned
