"""The products of a task, read from its folder of prototypes."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from moleflow.artifacts import ArtifactError
from moleflow.params import classes_of
from moleflow.prototypes import Prototype, load_prototype, training_features
from moleflow.store import open_split

FEATURES, TASKS = Path("data/features"), Path("data/tasks")


def load_task(task: str) -> tuple[dict[str, Prototype], dict[str, Float[Tensor, "N H W C"]]]:
    """Prototypes and standardised training features of a task's products, in order of arrival.

    Raises:
        ArtifactError: the folder holds a product that params.yaml no longer lists for the task, or
            lacks one that it does.
    """
    listed = classes_of(task)
    found = {path.stem: path for path in (TASKS / task).glob("*.safetensors")}
    if set(found) != set(listed):
        stray = sorted(set(found) - set(listed))
        remedy = f"delete {found[stray[0]]}" if stray else "run `dvc repro`"
        raise ArtifactError(f"{TASKS / task} holds {sorted(found)}, params.yaml lists {listed}; {remedy}")
    prototypes = {name: load_prototype(found[name]) for name in listed}
    features = {
        name: training_features(prototype, open_split(FEATURES / f"{name}.zarr", "train"))
        for name, prototype in prototypes.items()
    }
    return prototypes, features
