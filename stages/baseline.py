"""baseline: fits one baseline on every product's features and measures the same images as the experts."""

import sys

import numpy as np
from tqdm import tqdm

from moleflow.baselines import BASELINES as METHODS
from moleflow.baselines import Baseline
from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.features import StandardisedFeatures, images_within
from moleflow.order import read_order
from moleflow.params import Above, Config, Count, Positive, load_params
from moleflow.paths import BASELINES, FEATURES, PROBES, ROUTES, TASKS, prototype_path
from moleflow.probe_names import sources_of
from moleflow.prototypes import load_prototype
from moleflow.router import misrouted_rows
from moleflow.scores_file import Arrays, Record, read_record, write_record
from moleflow.scoring import Statistics, require_finite
from moleflow.store import open_split
from moleflow.tidying import tidy

BATCH = 32  # images at a time


class BaselineConfig(Config):
    """What this stage reads of params.yaml."""

    coreset_size: Positive
    feature_memory: Above
    seed: Count


@told_plainly
def main(baseline: str) -> None:
    """Writes data/baselines/<baseline>.h5: patch distances of every product's images, and of those sent to it."""
    config, order = load_params(BaselineConfig), read_order()
    fit = choose(METHODS, baseline, "baselines")
    tidy(order, FEATURES, PROBES, TASKS)
    output = BASELINES / f"{baseline}.h5"
    with measured("baseline", baseline, [output]):
        routes = read_record(ROUTES)
        chosen = {name: routes.arrays[f"{name}/chosen"] for name in order.products}
        arrays: Arrays = {}
        for name, task in tqdm(order.products.items(), desc=baseline):
            prototype = load_prototype(prototype_path(name, task))
            splits = {split: open_split(FEATURES / f"{name}.zarr", split) for split in ("calibration", "test")}
            splits |= {split: open_split(PROBES / f"{name}.zarr", split) for split in ("probe", "varied")}
            train = prototype.scaled(*(open_split(FEATURES / f"{name}.zarr", split) for split in ("train", "rotated")))
            drawn = np.random.default_rng(config.seed).permutation(len(train))
            fitting = images_within(train, config.feature_memory)
            fitted = fit(train[np.sort(drawn[:fitting])], config.seed, config.coreset_size)
            found: dict[str, Arrays] = {
                split: _distances(fitted, prototype.scaled(each), name) for split, each in splits.items() if each.images
            }
            found["calibration"]["fold"] = np.zeros(len(splits["calibration"].images), np.int64)
            for split in ("probe", "varied"):
                found.setdefault(split, {})["source"] = sources_of(splits[split].images)
            found["test"] = {key: values[None] for key, values in found["test"].items()}  # by one member
            for other, rows in misrouted_rows(chosen, name).items():
                images = prototype.scaled(open_split(FEATURES / f"{other}.zarr", "test")).take(rows)
                distances = {key: values[None] for key, values in _distances(fitted, images, name).items()}
                arrays |= {f"{other}/misrouted/{name}/{key}": each for key, each in {"row": rows, **distances}.items()}
            arrays |= {f"{name}/{split}/{key}": each for split, group in found.items() for key, each in group.items()}
        write_record(output, Record(arrays, {}))


def _distances(fitted: Baseline, features: StandardisedFeatures, name: str) -> Statistics:
    """What a product's baseline says of some images, (N, H, W)."""
    batches = (features[start : start + BATCH] for start in range(0, len(features), BATCH))
    found = {"distance": np.concatenate([fitted.distances(batch).numpy() for batch in batches])}
    require_finite(found, name, features.images)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
