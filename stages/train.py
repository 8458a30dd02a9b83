"""train: learns the experts of a later task over the frozen base, one product after another."""

import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from moleflow.config.errors import told_plainly
from moleflow.config.params import Config, load_params
from moleflow.config.registry import choose
from moleflow.files.artifacts import written_whole
from moleflow.files.costs import measured
from moleflow.files.paths import Paths
from moleflow.flow.density import expert_state
from moleflow.flow.expert_files import load_base, save_expert
from moleflow.learning.branches import train_branches
from moleflow.learning.tasks import load_task, painted_features
from moleflow.learning.training import Recipe
from moleflow.learning.training_images import CALIBRATIONS
from stages.device_keys import DeviceConfig
from stages.learning_keys import ExpertConfig, GroupConfig, NormalConfig, relatives


class TrainConfig(Config):
    """What this stage reads of params.yaml, besides `Recipe` and stages/learning_keys.py."""

    calibration: str
    calibration_folds: Annotated[int, Field(ge=2)]


@told_plainly
def main(task: str) -> None:
    """Writes data/experts/<task>/<product or task>.safetensors and the learning curves.

    Args:
        task: a later task.
    """
    paths = Paths(Path())
    params = paths.task_params(task)
    config, size = load_params(TrainConfig, params), load_params(ExpertConfig, params)
    grouping, normal = load_params(GroupConfig, params), load_params(NormalConfig, params)
    recipe, device = load_params(Recipe, params), load_params(DeviceConfig, params).found
    left_for_learning = choose(CALIBRATIONS, config.calibration, "calibration")
    folder, curves = paths.experts / task, paths.curves / task
    with (
        measured(paths.costs, "train", task, [folder]),
        written_whole(folder) as partial,
        written_whole(curves) as partial_curves,
    ):
        partial_curves.mkdir()
        prototypes = load_task(paths, task, device)
        for group, names in grouping.groups(task, list(prototypes)).items():
            folds, normal_patches, references, curve = [], [], [], []
            shared_by = {product: prototypes[product] for product in names}
            for features in left_for_learning(paths, shared_by, config.calibration_folds):
                density, arguments = load_base(paths.base, size.model_dump(), recipe.seed, device)
                expert = expert_state(density)
                modeled = {
                    product: product_features.first(density.channels) for product, product_features in features.items()
                }
                experts = dict.fromkeys(names, expert)
                painted = (
                    painted_features(paths, features, prototypes, density.channels) if recipe.margin_weight else None
                )
                learned = list(expert.items())
                curve += train_branches(density, experts, modeled, learned, recipe, label=group, painted=painted)
                folds.append(expert)
                normal_patches.append(normal.learn(features, prototypes))
                references.append(relatives(density, expert, features, normal_patches[-1], recipe))
            save_expert(
                partial / f"{group}.safetensors",
                folds,
                arguments,
                normal_patches=normal_patches,
                relatives=references,
                base=paths.base,
                features={product: prototypes[product].features_digest for product in names},
            )
            mean_curve = pd.DataFrame(curve).groupby("epoch", as_index=False).mean()
            mean_curve.to_csv(partial_curves / f"{group}.csv", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
