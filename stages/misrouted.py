"""misrouted: statistics by experts of other products' test images that were misrouted to them."""

from pathlib import Path
from typing import Literal

from tqdm import tqdm

from moleflow.compute.precision import PRECISIONS
from moleflow.config.errors import told_plainly
from moleflow.config.params import load_params
from moleflow.config.registry import choose
from moleflow.features.prototype import load_prototype
from moleflow.files.costs import measured
from moleflow.files.feature_store import open_split
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.record_file import Arrays, Record, read_record, write_record
from moleflow.files.tidying import tidy
from moleflow.statistics.expert import Expert
from stages.device_keys import DeviceConfig


class MisroutedConfig(DeviceConfig):
    """What this stage reads of params.yaml."""

    precision: str
    orientations: Literal[1, 4]


@told_plainly
def main() -> None:
    """Writes data/misrouted.h5: by product and other expert the rows of the misrouted images and their statistics."""
    paths = Paths(Path())
    config, order = load_params(MisroutedConfig, paths.params), read_order(paths.order)
    precision = choose(PRECISIONS, config.precision, "precision")
    tidy(paths, order, paths.features, paths.tasks, paths.experts)
    with measured(paths.costs, "misrouted", "all", [paths.misrouted]):
        routes = read_record(paths.routes)
        arrays: Arrays = {}
        for expert_name, task in tqdm(order.products.items(), desc="misrouted"):
            sent = {product: routes.arrays.get(f"{product}/misrouted/{expert_name}") for product in order.products}
            if all(rows is None for rows in sent.values()):
                continue
            prototype = load_prototype(paths.prototype_of(expert_name, task), config.found)
            expert = Expert(paths, expert_name, task, prototype, dtype=precision, orientations=config.orientations)
            for product, rows in sent.items():
                if rows is not None:
                    test = open_split(paths.features.of(product), "test")
                    images = prototype.standardized(test).take(rows)
                    group = {"row": rows, **expert.statistics(images, images.images)}
                    arrays |= {f"{product}/{expert_name}/{key}": array for key, array in group.items()}
        write_record(paths.misrouted, Record(arrays, {}))


if __name__ == "__main__":
    main()
