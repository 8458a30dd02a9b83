"""train: learns the experts of a later task over the frozen base, one product after another."""

import sys
from pathlib import Path

import pandas as pd

from moleflow.artifacts import written_whole
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.experts import load_base, save_expert
from moleflow.flow.density import expert_state
from moleflow.params import load_params
from moleflow.tasks import load_task
from moleflow.training import train
from stages.recipe import ExpertConfig, RecipeConfig

EXPERTS = Path("data/experts")


@told_plainly
def main(task: str) -> None:
    """Writes data/experts/<task>/<class>.safetensors."""
    size, config = load_params(ExpertConfig), load_params(RecipeConfig)
    base, folder, curves = EXPERTS / "base.safetensors", EXPERTS / task, Path("data/curves") / task
    with measured("train", task, [folder]):
        prototypes, features = load_task(task)
        with written_whole(folder) as partial, written_whole(curves) as partial_curves:
            partial_curves.mkdir()
            for name, images in features.items():
                density, arguments = load_base(base, {**size.model_dump(), "first": False, "seed": config.seed})
                expert = expert_state(density)
                trained = list(expert.values())
                rows = train(density, {name: expert}, {name: images}, trained, config.recipe(), label=name)
                digest = prototypes[name].features_digest
                save_expert(partial / f"{name}.safetensors", expert, arguments, base=base, features_digest=digest)
                pd.DataFrame(rows).to_csv(partial_curves / f"{name}.csv", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
