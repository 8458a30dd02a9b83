"""baseline: fits one rival on every product's features and judges the same images as the flow, routed alike."""

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from moleflow.baselines import BASELINES, Baseline
from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.features import StandardisedFeatures, images_within
from moleflow.judging import BATCH, TASKS
from moleflow.params import Above, Count, OpenFraction, Positive, Products, load_params
from moleflow.probe_names import sources_of
from moleflow.prototypes import load_prototype
from moleflow.router import stolen_rows
from moleflow.scores_file import Arrays, Record, read_record, write_record
from moleflow.scoring import Statistics, require_finite
from moleflow.store import open_split
from stages.judge import AggregationConfig

FEATURES, OUTPUT = Path("data/features"), Path("data/baselines")


class BaselineConfig(Products):
    """What this stage reads of params.yaml, besides stages/judge.py."""

    alarm_rate: OpenFraction
    coreset_size: Positive
    feature_memory: Above
    seed: Count


@told_plainly
def main(baseline: str) -> None:
    """Writes data/baselines/<baseline>.h5: per product what its rival says, and of the images its prototype steals."""
    config, judging = load_params(BaselineConfig), load_params(AggregationConfig)
    fit = choose(BASELINES, baseline, "baselines")
    routes, names = read_record(Path("data/routes.h5")), list(config.by_arrival)
    arrays: Arrays = {}
    with measured("baseline", baseline, [OUTPUT / f"{baseline}.h5"]):
        for name, task in tqdm(config.by_arrival.items(), desc=baseline):
            prototype = load_prototype(TASKS / task / f"{name}.safetensors")
            splits = {split: open_split(FEATURES / f"{name}.zarr", split) for split in ("calibration", "test")}
            splits |= {split: open_split(Path("data/probes") / f"{name}.zarr", split) for split in ("probe", "varied")}
            features = {split: prototype.scaled(each) for split, each in splits.items() if each.images}
            train = prototype.scaled(*(open_split(FEATURES / f"{name}.zarr", split) for split in ("train", "rotated")))
            drawn = np.random.default_rng(config.seed).permutation(len(train))
            fitting = images_within(train, config.feature_memory)
            rival = fit(train[np.sort(drawn[:fitting])], config.seed, config.coreset_size)
            judged: dict[str, Arrays] = {split: _distances(rival, each, name) for split, each in features.items()}
            judged["calibration"]["fold"] = np.zeros(len(judged["calibration"]["distance"]), np.int64)
            for split in ("probe", "varied"):
                judged.setdefault(split, {})["source"] = sources_of(splits[split].images)
            judge = judging.judge_by(("distance",), judged["calibration"], judged["varied"])
            alone = _alone(judged["test"])
            judged["test"] = alone | vars(judge(alone))
            arrays |= {
                f"{name}/{split}/{key}": values for split, each in judged.items() for key, values in each.items()
            }
            arrays[f"{name}/threshold"] = np.array(judge.threshold(config.alarm_rate))
            for victim in (other for other in names if other != name):
                rows = stolen_rows(routes.arrays[f"{victim}/chosen"], names.index(name))
                if len(rows):
                    images = prototype.scaled(open_split(FEATURES / f"{victim}.zarr", "test")).take(rows)
                    verdicts = {"row": rows, **vars(judge(_alone(_distances(rival, images, name))))}
                    arrays |= {f"{victim}/stolen/{name}/{key}": each for key, each in verdicts.items()}
        write_record(OUTPUT / f"{baseline}.h5", Record(arrays, {}))


def _distances(rival: Baseline, features: StandardisedFeatures, name: str) -> Statistics:
    """What a product's rival says of some images, (N, H, W)."""
    batches = (features[start : start + BATCH] for start in range(0, len(features), BATCH))
    found = {"distance": np.concatenate([rival.distances(batch).numpy() for batch in batches])}
    require_finite(found, name, features.images)
    return found


def _alone(judged: Statistics) -> Statistics:
    """What a single member says: one more axis, (1, N, H, W)."""
    return {part: values[None] for part, values in judged.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
