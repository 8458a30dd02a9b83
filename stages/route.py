"""route: sends every test image to a product, by the prototypes known after each task."""

from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from moleflow.config.errors import told_plainly
from moleflow.config.params import Fraction, load_params
from moleflow.features.neighbors import neighbor_distances
from moleflow.features.prototype import Prototype, load_prototype
from moleflow.files.artifacts import digest
from moleflow.files.costs import measured
from moleflow.files.feature_store import open_split
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.probe_names import kinds_of
from moleflow.files.record_file import Arrays, Record, write_record
from moleflow.files.tidying import tidy
from moleflow.routing.rejection import OwnImages
from moleflow.routing.router import Router
from moleflow.routing.router_file import RouterFile, write_router
from moleflow.routing.routers import misrouted_rows, nearest_by_task
from stages.device_keys import DeviceConfig


class RouteConfig(DeviceConfig):
    """What this stage reads of params.yaml."""

    router: str
    reject_rate: Fraction


@told_plainly
def main() -> None:
    """Writes data/router.json, and data/routes.h5: by product distances, p-values of rejection, the chosen products
    after each task, and the rows of its images that are misrouted to other products."""
    paths = Paths(Path())
    config, order = load_params(RouteConfig, paths.params), read_order(paths.order)
    tidy(paths, order, paths.features, paths.probes, paths.tasks)
    with measured(paths.costs, "route", "all", [paths.routes]):
        files = {product: paths.prototype_of(product, task) for product, task in order.products.items()}
        prototypes = {product: load_prototype(file, config.found) for product, file in files.items()}
        own = {product: _own_images(paths, product, prototype) for product, prototype in prototypes.items()}
        router = Router(config.router, prototypes, own)
        arrays: Arrays = {}
        chosen: dict[str, np.ndarray] = {}
        for product, task in tqdm(order.products.items(), desc="route"):
            embedded = prototypes[product].embeddings_of(open_split(paths.features.of(product), "test"))
            distances, strangeness = router.distances(embedded, product), router.strangeness(embedded)
            nearest = nearest_by_task(torch.from_numpy(distances), order.known_after())
            chosen[product] = nearest[:, order.tasks.index(task) :].numpy()
            columns = {"distance": distances, "known_p_value": router.known_p_values(strangeness)}
            columns |= {"strangeness": strangeness, "chosen": chosen[product]}
            arrays |= {f"{product}/{key}": column for key, column in columns.items()}
        for other in order.products:
            arrays |= {f"{product}/misrouted/{other}": rows for product, rows in misrouted_rows(chosen, other).items()}
        trained = np.array([len(prototype.images) for prototype in prototypes.values()])
        write_record(paths.routes, Record(arrays, {"training_images": trained}))
        digests = {product: digest(file) for product, file in files.items()}
        write_router(
            paths.router,
            RouterFile(
                router=config.router,
                reject_rate=config.reject_rate,
                tasks=order.tasks,
                products=order.products,
                prototypes=digests,
                own_images=own,
            ),
        )


def _own_images(paths: Paths, product: str, prototype: Prototype) -> OwnImages:
    """The sessions of a product: training images, each among the others, and each kind of harmless change."""
    perturbed = open_split(paths.probes.of(product), "perturbed")
    if not perturbed.images:
        return OwnImages.of([prototype.left_out.numpy()])
    distances = neighbor_distances(prototype.embeddings_of(perturbed), prototype.images).numpy()
    kinds = kinds_of(perturbed.images)
    return OwnImages.of([prototype.left_out.numpy(), *(distances[kinds == kind] for kind in np.unique(kinds))])


if __name__ == "__main__":
    main()
