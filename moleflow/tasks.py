"""The products of a task, read from its folder of prototypes."""

from collections.abc import Callable
from pathlib import Path

from moleflow.artifacts import ArtifactError
from moleflow.features import StandardisedFeatures
from moleflow.params import classes_of
from moleflow.prototypes import Prototype, load_prototype, require_own_features
from moleflow.store import NORMAL, open_split

FEATURES, TASKS = Path("data/features"), Path("data/tasks")


def load_task(task: str) -> dict[str, Prototype]:
    """Prototypes of a task's products, in order of arrival.

    Raises:
        ArtifactError: the folder holds a product that params.yaml no longer lists for the task, or
            lacks one that it does.
        StoreError: a product's features changed after its prototype was made.
    """
    listed = classes_of(task)
    found = {path.stem: path for path in (TASKS / task).glob("*.safetensors")}
    if set(found) != set(listed):
        stray = sorted(set(found) - set(listed))
        remedy = f"delete {found[stray[0]]}" if stray else "run `dvc repro`"
        raise ArtifactError(f"{TASKS / task} holds {sorted(found)}, params.yaml lists {listed}; {remedy}")
    prototypes = {name: load_prototype(found[name]) for name in listed}
    for name, prototype in prototypes.items():
        require_own_features(prototype, *(open_split(FEATURES / f"{name}.zarr", s) for s in NORMAL))
    return prototypes


def remove_strays(products: dict[str, str]) -> None:
    """Removes prototypes that lie with a task that their product left; DVC's cache keeps them.

    Args:
        products: product to task, as params.yaml has them now.
    """
    for path in TASKS.glob("*/*.safetensors"):
        if products.get(path.stem) != path.parent.name:
            path.unlink()


def normal_features(name: str, prototype: Prototype, *splits: str) -> StandardisedFeatures:
    """Standardised features of a product's normal images, of some of its splits train, rotated, calibration."""
    return prototype.standardised(*(open_split(FEATURES / f"{name}.zarr", split) for split in splits))


# Products of a task -> who shares an expert, by the name of the expert.
EXPERT_GROUPS: dict[str, Callable[[str, list[str]], dict[str, list[str]]]] = {
    "class": lambda task, names: {name: [name] for name in names},
    "task": lambda task, names: {task: names},
}
