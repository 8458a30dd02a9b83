"""route: sends every test image to a product, by the prototypes known after each task."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from moleflow.config.errors import told_plainly
from moleflow.config.params import Fraction, Positive, load_params
from moleflow.features.neighbors import neighbor_distances
from moleflow.features.prototype import Prototype, load_prototype
from moleflow.files.artifacts import digest
from moleflow.files.costs import measured
from moleflow.files.feature_store import Split, open_split
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.probe_names import kinds_of
from moleflow.files.record_file import Arrays, Record, write_record
from moleflow.files.tidying import tidy
from moleflow.routing.regions import Regions, with_regions
from moleflow.routing.rejection import OwnImages
from moleflow.routing.router import Router
from moleflow.routing.router_file import RouterFile, write_router
from moleflow.routing.routers import Mahalanobis, candidates_by_task, misrouted_rows, nearest_by_task
from stages.device_keys import DeviceConfig


class RouteConfig(DeviceConfig):
    """What this stage reads of params.yaml."""

    router: str
    router_regions: Positive
    router_candidates: Positive
    reject_rate: Fraction


@told_plainly
def main() -> None:
    """Writes data/router.json, and data/routes.h5: by product distances, p-values of rejection, the chosen products
    after each task, of two_stage all candidates, and the rows of its images that are misrouted to other products."""
    paths = Paths(Path())
    config, order = load_params(RouteConfig, paths.params), read_order(paths.order)
    tidy(paths, order, paths.features, paths.probes, paths.tasks)
    with measured(paths.costs, "route", "all", [paths.routes]):
        files = {product: paths.prototype_of(product, task) for product, task in order.products.items()}
        prototypes = {product: load_prototype(file, config.found) for product, file in files.items()}
        own = {product: _own_images(paths, product, prototype) for product, prototype in prototypes.items()}
        asked = prototypes if config.router == "regional" else {}
        regions = {product: _regions(paths, product, each, config.router_regions) for product, each in asked.items()}
        router = Router(config.router, prototypes, own, candidates=config.router_candidates, regions=regions)
        arrays: Arrays = {}
        asked_as: dict[str, np.ndarray] = {}  # by product the experts that judge its images, (N, T) or (N, T, K)
        for product, task in tqdm(order.products.items(), desc="route"):
            embedded = router.embed_split(open_split(paths.features.of(product), "test"))
            distances, strangeness = router.distances(embedded, product), router.strangeness(embedded)
            known_after, since = order.known_after(), order.tasks.index(task)
            chosen = nearest_by_task(torch.from_numpy(distances), known_after)[:, since:].numpy()
            columns = {"distance": distances, "known_p_value": router.known_p_values(strangeness)}
            columns |= {"strangeness": strangeness, "chosen": chosen}
            asked_as[product] = chosen
            if router.candidates > 1:
                nearest = candidates_by_task(torch.from_numpy(distances), known_after, router.candidates)
                asked_as[product] = columns["candidates"] = nearest[:, since:].numpy()
            arrays |= {f"{product}/{key}": column for key, column in columns.items()}
        for other in order.products:
            arrays |= {
                f"{product}/misrouted/{other}": rows for product, rows in misrouted_rows(asked_as, other).items()
            }
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
                candidates=router.candidates,
                regions=regions,
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


def _regions(paths: Paths, product: str, prototype: Prototype, side: int) -> Regions:
    """How a product's training images look region by region, and how far its calibration images lie."""
    train, calibration = (open_split(paths.features.of(product), split) for split in ("train", "calibration"))
    channels = prototype.layers[-1]

    def embedded(split: Split, rows: np.ndarray) -> Iterator[torch.Tensor]:
        for maps in split.batches(rows):
            features = prototype.patch_features(maps)
            yield with_regions(features, prototype.embeddings(features), side=side, channels=channels)

    learned = np.flatnonzero([image not in prototype.suspects for image in train.images])
    held_out = np.arange(len(calibration.images))
    parts = embedded(calibration, held_out) if len(held_out) else embedded(train, learned)
    nearest = Mahalanobis([prototype])
    return Regions.of(
        embedded(train, learned),
        torch.cat([*parts]),
        lambda own: nearest(own, None)[:, 0],
        side=side,
        channels=channels,
    )


if __name__ == "__main__":
    main()
