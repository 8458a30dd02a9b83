"""route: sends every test image to a product, by the prototypes known after each task."""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from moleflow.calibration.surprise import surprise
from moleflow.config.errors import told_plainly
from moleflow.config.params import Config, load_params
from moleflow.config.registry import choose
from moleflow.features.prototype import Prototype, load_prototype
from moleflow.files.costs import measured
from moleflow.files.feature_store import Split, open_split
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.record_file import Arrays, Record, write_record
from moleflow.files.tidying import tidy
from moleflow.routing.rejection import known_p_values
from moleflow.routing.routers import ROUTERS, euclidean, misrouted_rows, nearest_by_task


class RouteConfig(Config):
    """What this stage reads of params.yaml."""

    router: str


@told_plainly
def main() -> None:
    """Writes data/routes.h5: by product distances, p-values of rejection, the chosen products after each task, and the
    rows of its images that are misrouted to other products."""
    paths = Paths(Path())
    config, order = load_params(RouteConfig, paths.params), read_order(paths.order)
    tidy(paths, order, paths.features, paths.tasks)
    with measured(paths.costs, "route", "all", [paths.routes]):
        prototypes = {
            product: load_prototype(paths.prototype_of(product, task)) for product, task in order.products.items()
        }
        arrays: Arrays = {}
        chosen: dict[str, np.ndarray] = {}
        for product, task in tqdm(order.products.items(), desc="route"):
            columns = _distances(config.router, prototypes, open_split(paths.features.of(product), "test"), product)
            nearest = nearest_by_task(torch.from_numpy(columns["distance"]), order.known_after())
            chosen[product] = columns["chosen"] = nearest[:, order.tasks.index(task) :].numpy()
            arrays |= {f"{product}/{key}": column for key, column in columns.items()}
        for other in order.products:
            arrays |= {f"{product}/misrouted/{other}": rows for product, rows in misrouted_rows(chosen, other).items()}
        trained = np.array([len(prototype.left_out) for prototype in prototypes.values()])
        write_record(paths.routes, Record(arrays, {"training_images": trained}))


def _distances(router: str, prototypes: dict[str, Prototype], split: Split, own: str) -> Arrays:
    """Distances of a product's test images to every prototype, and how strange they are to it, (N, K) each."""
    distance = choose(ROUTERS, router, "router")
    embedded = prototypes[own].embeddings(split)
    columns: dict[str, list[np.ndarray]] = {"distance": [], "known_p_value": [], "surprise": []}
    for product, prototype in prototypes.items():
        prototype.require_origin(split)
        columns["distance"].append(distance(prototype.gaussian, embedded, product == own).numpy())
        normal = prototype.left_out.numpy()
        strangeness = euclidean(prototype.gaussian, embedded, product == own).numpy()
        columns["known_p_value"].append(known_p_values(normal, strangeness))
        columns["surprise"].append(surprise(normal, strangeness))
    return {key: np.stack(column, axis=1) for key, column in columns.items()}


if __name__ == "__main__":
    main()
