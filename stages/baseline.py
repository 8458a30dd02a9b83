"""baseline: fits one baseline on every product's features and applies it to the same images as the experts."""

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from moleflow.baselines import BASELINES, Baseline
from moleflow.config.errors import told_plainly
from moleflow.config.params import Above, Positive, load_params
from moleflow.config.registry import call, choose
from moleflow.features.image_features import StandardizedFeatures
from moleflow.features.prototype import load_prototype
from moleflow.files.costs import measured
from moleflow.files.feature_store import open_split
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.probe_names import sessions_of, sources_of
from moleflow.files.record_file import Arrays, Record, Statistics, read_record, require_finite, write_record
from moleflow.files.tidying import tidy
from stages.device_keys import DeviceConfig

MEASURED_AT_ONCE = 32  # images


class BaselineConfig(DeviceConfig):
    """What this stage reads of params.yaml."""

    coreset_size: Positive
    feature_memory: Above


@told_plainly
def main(baseline: str) -> None:
    """Writes data/baselines/<baseline>.h5: patch distances of every product's images, and of those misrouted to it.

    Args:
        baseline: the baseline.
    """
    paths = Paths(Path())
    config, order = load_params(BaselineConfig, paths.params), read_order(paths.order)
    method = choose(BASELINES, baseline, "baselines")
    tidy(paths, order, paths.features, paths.probes, paths.tasks)
    output = paths.baselines.of(baseline)
    with measured(paths.costs, "baseline", baseline, [output]):
        routes = read_record(paths.routes)
        arrays: Arrays = {}
        for product, task in tqdm(order.products.items(), desc=baseline):
            prototype = load_prototype(paths.prototype_of(product, task), config.found)
            store, probe = paths.features.of(product), paths.probes.of(product)
            splits = {split: open_split(store, split) for split in ("calibration", "test")}
            splits |= {split: open_split(probe, split) for split in ("probe", "perturbed")}
            train = prototype.scaled(open_split(store, "train"), open_split(store, "rotated"))
            fitted = call(method, config.model_dump(), train)
            by_split: dict[str, Arrays] = {
                split: _distances(fitted, prototype.scaled(opened), product)
                for split, opened in splits.items()
                if opened.images
            }
            by_split["calibration"]["fold"] = np.zeros(len(splits["calibration"].images), np.int64)
            for split in ("probe", "perturbed"):
                made = splits[split].images
                numbers = {
                    "fold": np.zeros(len(made), np.int64),
                    "session": sessions_of(made),
                    "source": sources_of(made),
                }
                by_split[split] = by_split.get(split, {}) | numbers
            by_split["test"] = {key: array[None] for key, array in by_split["test"].items()}  # of a single fold
            for other in order.products:
                rows = routes.arrays.get(f"{other}/misrouted/{product}")
                if rows is not None:
                    images = prototype.scaled(open_split(paths.features.of(other), "test")).take(rows)
                    distances = {key: array[None] for key, array in _distances(fitted, images, product).items()}
                    sent = {"row": rows, **distances}
                    arrays |= {f"{other}/misrouted/{product}/{key}": array for key, array in sent.items()}
            arrays |= {
                f"{product}/{split}/{key}": array for split, group in by_split.items() for key, array in group.items()
            }
        write_record(output, Record(arrays, {}))


def _distances(fitted: Baseline, features: StandardizedFeatures, name: str) -> Statistics:
    """Distances of some images' patches by a product's baseline, (N, H, W)."""
    batches = (features[start : start + MEASURED_AT_ONCE] for start in range(0, len(features), MEASURED_AT_ONCE))
    distances = {"distance": np.concatenate([fitted.distances(batch).cpu().numpy() for batch in batches])}
    require_finite(distances, name, features.images)
    return distances


if __name__ == "__main__":
    main(*sys.argv[1:])
