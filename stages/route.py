"""route: sends every test image to a product, by the prototypes known after each task."""

import numpy as np
import torch
from tqdm import tqdm

from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.order import read_order
from moleflow.params import Config, load_params
from moleflow.paths import FEATURES, ROUTES, TASKS, prototype_path
from moleflow.prototypes import Prototype, load_prototype
from moleflow.router import ROUTERS, euclidean, known_p_values, nearest_by_task
from moleflow.scores_file import Arrays, Record, write_record
from moleflow.scoring import surprise
from moleflow.store import Split, open_split
from moleflow.tidying import tidy


class RouteConfig(Config):
    """What this stage reads of params.yaml."""

    router: str


@told_plainly
def main() -> None:
    """Writes data/routes.h5: per product distances, p-values of rejection and the chosen products by task."""
    config, order = load_params(RouteConfig), read_order()
    tidy(order, FEATURES, TASKS)
    with measured("route", "all", [ROUTES]):
        prototypes = {name: load_prototype(prototype_path(name, task)) for name, task in order.products.items()}
        arrays: Arrays = {}
        for name, task in tqdm(order.products.items(), desc="route"):
            found = _distances(config.router, prototypes, open_split(FEATURES / f"{name}.zarr", "test"), name)
            chosen = nearest_by_task(torch.from_numpy(found["distance"]), order.known_after())
            found["chosen"] = chosen[:, order.tasks.index(task) :].numpy()
            arrays |= {f"{name}/{key}": value for key, value in found.items()}
        trained = np.array([len(each.held_out) for each in prototypes.values()])
        write_record(ROUTES, Record(arrays, {"training_images": trained}))


def _distances(router: str, prototypes: dict[str, Prototype], split: Split, own: str) -> Arrays:
    """Distances of a product's test images to every prototype, and how strange they are to it, (N, K) each."""
    distance = choose(ROUTERS, router, "router")
    embedded = prototypes[own].embeddings(split)
    columns: dict[str, list[np.ndarray]] = {"distance": [], "known_p_value": [], "surprise": []}
    for name, prototype in prototypes.items():
        prototype.require_origin(split)
        columns["distance"].append(distance(prototype.gaussian, embedded, name == own).numpy())
        normal, strangeness = prototype.held_out.numpy(), euclidean(prototype.gaussian, embedded, name == own).numpy()
        columns["known_p_value"].append(known_p_values(normal, strangeness))
        columns["surprise"].append(surprise(normal, strangeness))
    return {key: np.stack(each, axis=1) for key, each in columns.items()}


if __name__ == "__main__":
    main()
