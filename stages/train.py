"""train: learns the experts of a later task over the frozen base, one product after another."""

import sys

import numpy as np
import pandas as pd

from moleflow.artifacts import written_whole
from moleflow.calibration import fold_numbers
from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.experts import load_base, save_expert
from moleflow.features import StandardisedFeatures
from moleflow.flow.density import expert_state
from moleflow.params import Config, load_params
from moleflow.paths import BASE, CURVES, EXPERTS
from moleflow.prototypes import Prototype
from moleflow.tasks import load_task, normal_features
from moleflow.training import train
from stages.recipe import ExpertConfig, Folds, GroupConfig, MemoryConfig, RecipeConfig


class TrainConfig(Config):
    """What this stage reads of params.yaml, besides stages/recipe.py."""

    calibration: str
    calibration_folds: Folds


def _split(prototypes: dict[str, Prototype], folds: int) -> list[dict[str, StandardisedFeatures]]:
    """One member, which never sees the calibration images."""
    return [{name: normal_features(name, prototype, "train", "rotated") for name, prototype in prototypes.items()}]


def _cross(prototypes: dict[str, Prototype], folds: int) -> list[dict[str, StandardisedFeatures]]:
    """One member per fold of all normal images, which sees all but its fold and what was made of it."""
    normal = {name: normal_features(name, each, "train", "calibration") for name, each in prototypes.items()}
    count = min([folds, *(len(features) for features in normal.values())])
    every, numbers = {}, {}
    for name, prototype in prototypes.items():
        every[name] = normal_features(name, prototype, "train", "calibration", "rotated")
        number = fold_numbers(len(normal[name]), count)
        copies = np.arange(len(every[name]) - len(number)) % normal[name].starts[1]  # row in train of each copy
        numbers[name] = np.concatenate([number, number[copies]])
    return [
        {name: features.take(np.flatnonzero(numbers[name] != fold)) for name, features in every.items()}
        for fold in range(count)
    ]


CALIBRATIONS = {"split": _split, "cross": _cross}


@told_plainly
def main(task: str) -> None:
    """Writes data/experts/<task>/<class or task>.safetensors."""
    config, grouping = load_params(TrainConfig), load_params(GroupConfig)
    size, memory, recipe = load_params(ExpertConfig), load_params(MemoryConfig), load_params(RecipeConfig)
    members_of = choose(CALIBRATIONS, config.calibration, "calibration")
    base, folder, curves = BASE, EXPERTS / task, CURVES / task
    with measured("train", task, [folder]), written_whole(folder) as partial, written_whole(curves) as partial_curves:
        partial_curves.mkdir()
        prototypes = load_task(task)
        for group, names in grouping.groups(task, list(prototypes)).items():
            members, memories, curve = [], [], []
            for features in members_of({name: prototypes[name] for name in names}, config.calibration_folds):
                density, arguments = load_base(base, {**size.model_dump(), "first": False, "seed": recipe.seed})
                expert = expert_state(density)
                shared = dict.fromkeys(names, expert)
                modelled = {name: each.first(density.channels) for name, each in features.items()}
                curve += train(density, shared, modelled, list(expert.items()), recipe.recipe(), label=group)
                members.append(expert)
                memories.append(memory.memorise(features, prototypes))
            digests = {name: prototypes[name].features_digest for name in names}
            path = partial / f"{group}.safetensors"
            save_expert(path, members, arguments, memories=memories, base=base, features=digests)
            mean_curve = pd.DataFrame(curve).groupby("epoch", as_index=False).mean()
            mean_curve.to_csv(partial_curves / f"{group}.csv", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
