"""train: learns the experts of a later task over the frozen base, one product after another."""

import sys
from pathlib import Path

import pandas as pd
import torch

from moleflow.artifacts import written_whole
from moleflow.calibration import fold_numbers
from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.experts import load_base, save_expert
from moleflow.flow.density import expert_state
from moleflow.params import Config, load_params
from moleflow.prototypes import Prototype
from moleflow.tasks import load_task, normal_features
from moleflow.training import train
from stages.recipe import ExpertConfig, Folds, RecipeConfig

EXPERTS = Path("data/experts")


class TrainConfig(Config):
    """What this stage reads of params.yaml, besides stages/recipe.py."""

    calibration: str
    calibration_folds: Folds


def _split(name: str, prototype: Prototype, folds: int) -> list[torch.Tensor]:
    """One member, which never sees the calibration images."""
    return [normal_features(name, prototype, "train")]


def _cross(name: str, prototype: Prototype, folds: int) -> list[torch.Tensor]:
    """One member per fold of all normal images, which sees all but its fold."""
    features = torch.cat([normal_features(name, prototype, split) for split in ("train", "calibration")])
    numbers = torch.from_numpy(fold_numbers(len(features), min(folds, len(features))))
    return [features[numbers != number] for number in range(int(numbers.max()) + 1)]


CALIBRATIONS = {"split": _split, "cross": _cross}


@told_plainly
def main(task: str) -> None:
    """Writes data/experts/<task>/<class>.safetensors."""
    config, size, recipe = load_params(TrainConfig), load_params(ExpertConfig), load_params(RecipeConfig)
    members_of = choose(CALIBRATIONS, config.calibration, "calibration")
    base, folder, curves = EXPERTS / "base.safetensors", EXPERTS / task, Path("data/curves") / task
    with measured("train", task, [folder]), written_whole(folder) as partial, written_whole(curves) as partial_curves:
        partial_curves.mkdir()
        for name, prototype in load_task(task).items():
            members, curve = [], []
            for features in members_of(name, prototype, config.calibration_folds):
                density, arguments = load_base(base, {**size.model_dump(), "first": False, "seed": recipe.seed})
                expert = expert_state(density)
                learnt = list(expert.values())
                curve += train(density, {name: expert}, {name: features}, learnt, recipe.recipe(), label=name)
                members.append(expert)
            digest = prototype.features_digest
            save_expert(partial / f"{name}.safetensors", members, arguments, base=base, features_digest=digest)
            mean_curve = pd.DataFrame(curve).groupby("epoch", as_index=False).mean()
            mean_curve.to_csv(partial_curves / f"{name}.csv", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
