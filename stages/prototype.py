"""prototype: what a product's normal images have in common, for the router and for standardisation."""

import sys

from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.params import Config, Count, Odd, Positive, load_params
from moleflow.paths import FEATURES, product_params, prototype_path
from moleflow.prototypes import build_prototype, save_prototype
from moleflow.store import NORMAL, open_split


class PrototypeConfig(Config):
    """What this stage reads of params.yaml."""

    neighbourhood: Odd
    embed_dim: Positive
    grid: Count
    layer_merge: str
    standardize: str
    router_rank: Count


@told_plainly
def main(name: str, task: str) -> None:
    """Writes data/tasks/<task>/<class>.safetensors."""
    config = load_params(PrototypeConfig, product_params(name, "prototype"))
    output = prototype_path(name, task)
    with measured("prototype", name, [output]):
        prototype = build_prototype(
            *(open_split(FEATURES / f"{name}.zarr", split) for split in NORMAL),
            patching=config.model_dump(include={"neighbourhood", "embed_dim", "grid", "layer_merge"}),
            standardize=config.standardize,
            router_rank=config.router_rank,
        )
        save_prototype(output, prototype)


if __name__ == "__main__":
    main(*sys.argv[1:])
