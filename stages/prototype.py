"""prototype: learns a product's standardization and its Gaussian for the router from normal images."""

import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from moleflow.config.errors import told_plainly
from moleflow.config.params import Config, Count, Odd, Positive, load_params
from moleflow.features.prototype import build_prototype, save_prototype
from moleflow.features.suspects import find_suspects
from moleflow.files.costs import measured
from moleflow.files.learned_splits import learned_splits
from moleflow.files.paths import Paths
from stages.device_keys import DeviceConfig


class PatchConfig(Config):
    """How raw maps become patch features."""

    neighborhood: Odd
    embed_dim: Positive
    grid: Count
    layer_merge: str


class PrototypeConfig(Config):
    """What this stage reads of params.yaml besides `PatchConfig`."""

    standardize: str
    router_rank: Count
    suspects: Annotated[float, Field(ge=0, lt=0.5)]


@told_plainly
def main(name: str, task: str) -> None:
    """Writes data/tasks/<task>/<product>.safetensors.

    Args:
        name: the product.
        task: its task.
    """
    paths = Paths(Path())
    params = paths.product_params(name, "prototype")
    config, patching = load_params(PrototypeConfig, params), load_params(PatchConfig, params)
    output = paths.prototype_of(name, task)
    with measured(paths.costs, "prototype", name, [output]):
        splits = learned_splits(paths, name)
        settings: dict[str, Any] = {
            "patching": patching.model_dump(),
            "standardize": config.standardize,
            "router_rank": config.router_rank,
            "device": load_params(DeviceConfig, params).found,
        }
        prototype = build_prototype(*splits, **settings)
        suspects = find_suspects(prototype, splits[0], config.suspects)
        if suspects:
            prototype = build_prototype(*splits, **settings, suspects=suspects)
            print(f"{name}: {len(suspects)} training images left out as suspects: {', '.join(suspects)}")
        save_prototype(output, prototype)


if __name__ == "__main__":
    main(*sys.argv[1:])
