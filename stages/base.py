"""base: learns the shared flow together with the first task's experts, then freezes it."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from moleflow.config.errors import told_plainly
from moleflow.config.params import Above, Config, Count, NonNegative, Odd, OddOrZero, Positive, load_params
from moleflow.files.artifacts import write_text, written_whole
from moleflow.files.costs import measured
from moleflow.files.paths import Paths
from moleflow.flow.density import Density, base_parameters, expert_state
from moleflow.flow.expert_files import save_base, save_expert
from moleflow.learning.branches import train_branches
from moleflow.learning.tasks import load_task, normal_features, painted_features
from moleflow.learning.training import Recipe
from stages.device_keys import DeviceConfig
from stages.learning_keys import ExpertConfig, GroupConfig, NormalConfig, relatives


class BaseConfig(Config):
    """What this stage reads of params.yaml, besides `Recipe` and stages/learning_keys.py."""

    flow_layers: Count
    couplings: Positive
    clamp: Above
    position: str
    context: list[str]
    mixer_kernel: Odd
    global_regions: Positive
    coupling_context: str
    scale_context_kernel: OddOrZero
    context_gate: Count
    spectral_bound: NonNegative
    branches: str
    alignment: str


@told_plainly
def main(task: str) -> None:
    """Writes data/experts/base.safetensors, data/experts/<task>/<product or task>.safetensors and the learning curve.

    Args:
        task: the first task.
    """
    paths = Paths(Path())
    params = paths.task_params(task)
    base, size = load_params(BaseConfig, params), load_params(ExpertConfig, params)
    grouping, normal = load_params(GroupConfig, params), load_params(NormalConfig, params)
    recipe, device = load_params(Recipe, params), load_params(DeviceConfig, params).found
    folder = paths.experts / task
    with measured(paths.costs, "base", task, [paths.base, folder]):
        prototypes = load_task(paths, task, device)
        features = {
            product: normal_features(paths, product, prototype, "train", "rotated")
            for product, prototype in prototypes.items()
        }
        channels = next(iter(prototypes.values())).modeled(base.flow_layers)
        modeled = {product: product_features.first(channels) for product, product_features in features.items()}
        # A single density's file says nothing of branches, as before there were any.
        alone = {"branches"} if base.branches == "none" else set()
        settings = base.model_dump(exclude=alone) | size.model_dump()
        arguments: dict[str, Any] = {"channels": channels, "settings": settings, "first": True, "seed": recipe.seed}
        density = Density(**arguments).to(device)
        groups = grouping.groups(task, list(features))
        experts = {group: expert_state(Density(**arguments).to(device)) for group in groups}
        expert_of = {product: experts[group] for group, names in groups.items() for product in names}
        expert_tensors = [named_tensor for expert in experts.values() for named_tensor in expert.items()]
        trained = [*base_parameters(density), *expert_tensors]
        painted = painted_features(paths, features, prototypes, channels) if recipe.margin_weight else None
        rows = train_branches(density, expert_of, modeled, trained, recipe, label=task, painted=painted)
        save_base(paths.base, density, arguments)
        with written_whole(folder) as partial:
            for group, names in groups.items():
                own = {product: features[product] for product in names}
                kept = normal.learn(own, prototypes)
                save_expert(
                    partial / f"{group}.safetensors",
                    [experts[group]],
                    arguments,
                    normal_patches=[kept],
                    relatives=[relatives(density, experts[group], own, kept, recipe)],
                    base=paths.base,
                    features={product: prototypes[product].features_digest for product in names},
                )
        write_text(paths.curves / task / "base.csv", pd.DataFrame(rows).to_csv(index=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
