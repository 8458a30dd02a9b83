"""misrouted: what experts say of other products' test images that were sent to them."""

import numpy as np
from tqdm import tqdm

from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.expert_statistics import Expert
from moleflow.order import read_order
from moleflow.params import Config, load_params
from moleflow.paths import EXPERTS, FEATURES, MISROUTED, ROUTES, TASKS
from moleflow.router import misrouted_rows
from moleflow.scores_file import Arrays, Record, read_record, write_record
from moleflow.store import open_split
from moleflow.tidying import tidy
from moleflow.training import PRECISIONS


class MisroutedConfig(Config):
    """What this stage reads of params.yaml."""

    precision: str


@told_plainly
def main() -> None:
    """Writes data/misrouted.h5: per product and other expert, the rows of its images and their statistics."""
    config, order = load_params(MisroutedConfig), read_order()
    precision = choose(PRECISIONS, config.precision, "precision")
    tidy(order, FEATURES, TASKS, EXPERTS)
    with measured("misrouted", "all", [MISROUTED]):
        routes = read_record(ROUTES)
        chosen = {name: routes.arrays[f"{name}/chosen"] for name in order.products}
        arrays: Arrays = {}
        for expert_name, task in tqdm(order.products.items(), desc="misrouted"):
            sent = misrouted_rows(chosen, expert_name)
            arrays |= _statistics(Expert(expert_name, task, precision), sent) if sent else {}
        write_record(MISROUTED, Record(arrays, {}))


def _statistics(expert: Expert, sent: dict[str, np.ndarray]) -> Arrays:
    """What an expert says of the rows of other products' images, (F, n, H, W) each."""
    arrays: Arrays = {}
    for name, rows in sent.items():
        images = expert.prototype.standardised(open_split(FEATURES / f"{name}.zarr", "test")).take(rows)
        found = {"row": rows, **expert.statistics(images)}
        arrays |= {f"{name}/{expert.name}/{key}": values for key, values in found.items()}
    return arrays


if __name__ == "__main__":
    main()
