"""No leftovers: a stage that takes a whole folder first deletes in it what params.yaml does not list.

A product that left would stay in such a folder, be taken for a product, and lie in the hash that dvc.lock keeps.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from moleflow.order import Order
from moleflow.paths import BASE, BASELINES, CURVES, EXPERTS, FEATURES, INDEX, PROBES, SCORERS, SCORES, STATISTICS, TASKS

SUFFIXES = {INDEX: ".csv", FEATURES: ".zarr", PROBES: ".zarr", STATISTICS: ".h5", SCORES: ".h5"}
SUFFIXES |= {SCORERS: ".safetensors"}  # one output per product


def tidy(order: Order, *folders: Path, baselines: Iterable[str] = ()) -> None:
    """Deletes what is not listed, and says so; DVC's cache keeps it.

    Args:
        order: what is listed.
        folders: folders of moleflow/paths.py.
        baselines: names listed under `baselines`.
    """
    for folder in folders:
        if folder == TASKS:
            _keep(folder, order.tasks)
            for task in order.tasks:
                tidy_task(task, order.of_task(task))
        elif folder == EXPERTS:
            _keep(folder, [*order.tasks, BASE.name])
        elif folder == CURVES:
            _keep(folder, order.tasks)
        elif folder == BASELINES:
            _keep(folder, [*(f"{name}.h5" for name in baselines), "README.md"])
        else:
            _keep(folder, [f"{name}{SUFFIXES[folder]}" for name in order.products])


def tidy_task(task: str, products: Iterable[str]) -> None:
    """The same in a task's folder of prototypes.

    Args:
        task: the task.
        products: its products.
    """
    _keep(TASKS / task, [f"{name}.safetensors" for name in products])


def _keep(folder: Path, listed: Iterable[str]) -> None:
    kept = set(listed)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name not in kept:
            print(f"{path} belongs to nothing that params.yaml lists: deleted")
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
