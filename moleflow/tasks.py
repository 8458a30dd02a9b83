"""The products of a task, read from its folder of prototypes."""

from collections.abc import Callable

from moleflow.features import StandardisedFeatures
from moleflow.order import read_task
from moleflow.paths import FEATURES, prototype_path
from moleflow.prototypes import Prototype, load_prototype, require_own_features
from moleflow.store import NORMAL, StoreError, open_split
from moleflow.tidying import tidy_task


def load_task(task: str) -> dict[str, Prototype]:
    """Prototypes of a task's products, in order of arrival; what lies beside them is deleted.

    Raises:
        ArtifactError: a product has no prototype.
        StoreError: a product's features changed after its prototype was made.
    """
    names = read_task(task)
    tidy_task(task, names)
    prototypes = {name: load_prototype(prototype_path(name, task)) for name in names}
    for name, prototype in prototypes.items():
        require_own_features(prototype, *(open_split(FEATURES / f"{name}.zarr", split) for split in NORMAL))
    return prototypes


def normal_features(name: str, prototype: Prototype, *splits: str) -> StandardisedFeatures:
    """Standardised features of a product's normal images: all that learning is given.

    Args:
        name: the product.
        prototype: its prototype.
        splits: some of train, rotated, calibration.

    Raises:
        StoreError: another split is asked for; no test image takes part in learning.
    """
    other = [split for split in splits if split not in NORMAL]
    if other:
        raise StoreError(f"{name}: {other[0]} images are not for learning; it is given {', '.join(NORMAL)} alone")
    return prototype.standardised(*(open_split(FEATURES / f"{name}.zarr", split) for split in splits))


# Products of a task -> who shares an expert, by the name of the expert.
EXPERT_GROUPS: dict[str, Callable[[str, list[str]], dict[str, list[str]]]] = {
    "class": lambda task, names: {name: [name] for name in names},
    "task": lambda task, names: {task: names},
}
