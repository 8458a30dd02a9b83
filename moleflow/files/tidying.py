"""No leftovers: a stage that takes a whole folder first deletes in it what params.yaml does not list.

Files of a product that was removed would stay in such a folder, be read like those of a listed one, and change the
hash in dvc.lock.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from moleflow.files.order import Order
from moleflow.files.paths import Paths


def tidy(paths: Paths, order: Order, *folders: Path, baselines: Iterable[str] = ()) -> None:
    """Deletes what is not listed, and prints what was deleted; DVC's cache keeps it.

    Args:
        paths: the repository's paths.
        order: the listed products and tasks.
        *folders: folders of `paths` that hold something per product, task or baseline.
        baselines: names listed under `baselines`.
    """
    per_product = {
        paths.index: paths.index_of,
        paths.features: paths.features_of,
        paths.probes: paths.probe_of,
        paths.statistics: paths.statistics_of,
        paths.scores: paths.scores_of,
        paths.scorers: paths.scorer_of,
    }
    for folder in folders:
        if folder == paths.tasks:
            _keep(folder, order.tasks)
            for task in order.tasks:
                tidy_task(paths, task, order.of_task(task))
        elif folder == paths.experts:
            _keep(folder, [*order.tasks, paths.base.name])
        elif folder == paths.curves:
            _keep(folder, order.tasks)
        elif folder == paths.baselines:
            _keep(folder, [*(paths.baseline_of(name).name for name in baselines), "README.md"])
        else:
            _keep(folder, [per_product[folder](name).name for name in order.products])


def tidy_task(paths: Paths, task: str, products: Iterable[str]) -> None:
    """Deletes prototypes of products that are not listed from a task's folder.

    Args:
        paths: the repository's paths.
        task: the task.
        products: its products.
    """
    _keep(paths.tasks / task, [paths.prototype_of(name, task).name for name in products])


def _keep(folder: Path, listed: Iterable[str]) -> None:
    kept = set(listed)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name not in kept:
            print(f"{path} belongs to nothing that params.yaml lists: deleted")
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
