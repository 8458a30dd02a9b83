"""statistics: what a product's expert says of its held-out normal, probe, varied and test images."""

import sys

import numpy as np

from moleflow.artifacts import digest
from moleflow.calibration import fold_numbers
from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.expert_file import expert_file
from moleflow.expert_statistics import Expert
from moleflow.params import Config, load_params
from moleflow.paths import BASE, EXPERTS, FEATURES, PROBES, STATISTICS, product_params
from moleflow.probe_names import sources_of
from moleflow.scores_file import Arrays, Record, write_record
from moleflow.store import open_split
from moleflow.training import PRECISIONS


class StatisticsConfig(Config):
    """What this stage reads of params.yaml."""

    precision: str


@told_plainly
def main(name: str, task: str) -> None:
    """Writes data/statistics/<class>.h5 with the groups calibration, probe, varied and test."""
    config = load_params(StatisticsConfig, product_params(name, "statistics"))
    output, store, probes = STATISTICS / f"{name}.h5", FEATURES / f"{name}.zarr", PROBES / f"{name}.zarr"
    with measured("statistics", name, [output]):
        expert = Expert(name, task, choose(PRECISIONS, config.precision, "precision"))
        prototype = expert.prototype
        normal = prototype.standardised(open_split(store, "calibration"))
        folds, first = np.zeros(len(normal), np.int64), 0
        if len(expert.members) > 1:  # calibration: cross; the members see no image of their own fold
            held_out = len(normal)
            normal = prototype.standardised(open_split(store, "train"), open_split(store, "calibration"))
            folds = fold_numbers(len(normal), len(expert.members))
            first = len(normal) - held_out  # row of the first held-out one
        found: dict[str, Arrays] = {"calibration": expert.statistics_by_fold(normal, folds) | {"fold": folds}}
        for split in ("probe", "varied"):
            made = open_split(probes, split)
            sources = first + sources_of(made.images)
            found[split] = {"source": sources}
            if made.images:
                found[split] |= expert.statistics_by_fold(prototype.standardised(made), folds[sources])
        found["test"] = expert.statistics(prototype.standardised(open_split(store, "test")))
        arrays = {f"{split}/{key}": values for split, each in found.items() for key, values in each.items()}
        attributes = {
            "base_digest": digest(BASE),
            "expert_digest": digest(expert_file(EXPERTS / task, name)),
            "resize": prototype.origin.resize,
        }
        write_record(output, Record(arrays, attributes))


if __name__ == "__main__":
    main(*sys.argv[1:])
