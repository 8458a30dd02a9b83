"""base: learns the shared flow together with the first task's experts, then freezes it."""

import sys
from typing import Any

import pandas as pd

from moleflow.artifacts import write_text, written_whole
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.experts import save_base, save_expert
from moleflow.flow.density import Density, base_parameters, expert_state
from moleflow.params import Above, Config, Count, OddOrZero, Positive, load_params
from moleflow.paths import BASE, CURVES, EXPERTS
from moleflow.tasks import load_task, normal_features
from moleflow.training import train
from stages.recipe import ExpertConfig, GroupConfig, MemoryConfig, RecipeConfig


class BaseConfig(Config):
    """What this stage reads of params.yaml, besides stages/recipe.py."""

    flow_layers: Count
    couplings: Positive
    clamp: Above
    position: str
    spatial_mixer: str
    scale_context_kernel: OddOrZero
    alignment: str


@told_plainly
def main(task: str) -> None:
    """Writes data/experts/base.safetensors and data/experts/<first task>/<class or task>.safetensors."""
    structure, grouping = load_params(BaseConfig), load_params(GroupConfig)
    size, memory, recipe = load_params(ExpertConfig), load_params(MemoryConfig), load_params(RecipeConfig)
    base, folder, curve = BASE, EXPERTS / task, CURVES / task / "base.csv"
    with measured("base", task, [base, folder]):
        prototypes = load_task(task)
        features = {
            name: normal_features(name, prototype, "train", "rotated") for name, prototype in prototypes.items()
        }
        channels = next(iter(prototypes.values())).modelled(structure.flow_layers)
        modelled = {name: each.first(channels) for name, each in features.items()}
        arguments: dict[str, Any] = {
            "channels": channels,
            **structure.model_dump(exclude={"flow_layers"}),
            **size.model_dump(),
            "first": True,
            "seed": recipe.seed,
        }
        density = Density(**arguments)
        groups = grouping.groups(task, list(features))
        experts = {group: expert_state(Density(**arguments)) for group in groups}
        expert_of = {name: experts[group] for group, members in groups.items() for name in members}
        trained = [*base_parameters(density), *(named for expert in experts.values() for named in expert.items())]
        rows = train(density, expert_of, modelled, trained, recipe.recipe(), label=task)
        save_base(base, density, arguments)
        with written_whole(folder) as partial:
            for group, members in groups.items():
                digests = {name: prototypes[name].features_digest for name in members}
                memories = [memory.memorise({name: features[name] for name in members}, prototypes)]
                path = partial / f"{group}.safetensors"
                save_expert(path, [experts[group]], arguments, memories=memories, base=base, features=digests)
        write_text(curve, pd.DataFrame(rows).to_csv(index=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
