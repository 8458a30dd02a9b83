"""No leftovers: a stage that takes a whole folder first deletes in it what params.yaml does not list.

Files of a product that was removed would stay in such a folder, be read like those of a listed one, and change the
hash in dvc.lock.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from moleflow.files.order import Order
from moleflow.files.paths import Folder, Paths


def tidy(
    paths: Paths,
    order: Order,
    *folders: Path | Folder,
    baselines: Iterable[str] = (),
    recalibrations: Iterable[str] = (),
) -> None:
    """Deletes what is not listed, and prints what was deleted; DVC's cache keeps it.

    Args:
        paths: the repository's paths.
        order: the listed products and tasks.
        *folders: folders of `paths` that hold something per product, task or baseline.
        baselines: names listed under `baselines`.
        recalibrations: products listed under `recalibrations`.
    """
    for folder in folders:
        if folder == paths.baselines:
            _keep(paths.baselines.path, [*(paths.baselines.of(name).name for name in baselines), "README.md"])
        elif folder == paths.recalibrations:
            files = [each for name in recalibrations for each in (paths.scorers.of(name), paths.scores.of(name))]
            _keep(folder, [*(file.name for file in files), ".gitkeep", ".gitignore"])
        elif isinstance(folder, Folder):
            _keep(folder.path, [folder.of(name).name for name in order.products])
        elif folder == paths.experts:
            _keep(folder, [*order.tasks, paths.base.name])
        else:
            _keep(folder, order.tasks)
    if paths.tasks in folders:
        for task in order.tasks:
            tidy_task(paths, task, order.of_task(task))


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
