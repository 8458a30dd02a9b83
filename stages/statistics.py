"""statistics: what a product's expert says of patches of its calibration, probe, perturbed and test images."""

import sys
from pathlib import Path
from typing import Literal

import numpy as np

from moleflow.compute.precision import PRECISIONS
from moleflow.config.errors import told_plainly
from moleflow.config.params import load_params
from moleflow.config.registry import choose
from moleflow.features.folds import fold_numbers
from moleflow.features.prototype import load_prototype
from moleflow.files.artifacts import digest, made_by
from moleflow.files.costs import measured
from moleflow.files.feature_store import has_split, open_split
from moleflow.files.paths import Paths
from moleflow.files.probe_names import sessions_of, sources_of
from moleflow.files.record_file import Arrays, Record, write_record
from moleflow.files.split_names import FEEDBACK
from moleflow.statistics.expert import Expert
from stages.device_keys import DeviceConfig


class StatisticsConfig(DeviceConfig):
    """What this stage reads of params.yaml."""

    precision: str
    orientations: Literal[1, 4]


@told_plainly
def main(name: str, task: str) -> None:
    """Writes data/statistics/<product>.h5: calibration, left_out, probe, perturbed, test and, if any, feedback.

    Args:
        name: the product.
        task: the task whose expert is asked.
    """
    paths = Paths(Path())
    config = load_params(StatisticsConfig, paths.product_params(name, "statistics"))
    output, store, own = paths.statistics.of(name), paths.features.of(name), paths.prototype_of(name, task)
    with measured(paths.costs, "statistics", name, [output]):
        prototype = load_prototype(own, config.found)
        precision = choose(PRECISIONS, config.precision, "precision")
        expert = Expert(paths, name, task, prototype, dtype=precision, orientations=config.orientations)
        normal = prototype.standardized(open_split(store, "calibration"))
        folds, first = np.zeros(len(normal), np.int64), 0
        if len(expert.densities) > 1:  # calibration: cross; no density saw an image of its own fold
            held_out = len(normal)
            normal = prototype.standardized(open_split(store, "train"), open_split(store, "calibration"))
            folds = fold_numbers(len(normal), len(expert.densities))
            first = len(normal) - held_out  # row of the first calibration image
        if prototype.suspects:  # the others are screened, as new images are not: they must not stand for these
            normal, folds, first = normal.take(np.arange(first, len(normal))), folds[first:], 0
        groups: dict[str, Arrays] = {"calibration": expert.statistics_by_fold(normal, folds) | {"fold": folds}}
        if len(expert.densities) == 1 and not prototype.suspects:
            learned = prototype.standardized(open_split(store, "train"), open_split(store, "rotated"))
            groups["left_out"] = expert.left_out_statistics(learned)
        for split in ("probe", "perturbed"):
            made = open_split(paths.probes.of(name), split)
            sources = first + sources_of(made.images)
            fold = folds[sources]
            groups[split] = {"fold": fold, "session": sessions_of(made.images), "source": sources}
            if made.images:
                groups[split] |= expert.statistics_by_fold(prototype.standardized(made), fold)
        for split in ("test", FEEDBACK):
            if has_split(store, split):
                judged = prototype.standardized(open_split(store, split))
                groups[split] = expert.statistics(judged, judged.images)
        arrays = {f"{split}/{key}": array for split, group in groups.items() for key, array in group.items()}
        attributes = {
            **made_by(paths, name, task, prototype=digest(own)),
            "resize": prototype.origin.resize,
            "suspects": "\n".join(prototype.suspects),
            "precision": config.precision,
            "orientations": config.orientations,
        }
        if prototype.origin.orient != "none":  # masks are turned like images, by what is seen in a view of this side
            side = open_split(paths.probes.of(name), "probe").masks().shape[-1]
            attributes |= {"orient": prototype.origin.orient, "side": side}
        write_record(output, Record(arrays, attributes))


if __name__ == "__main__":
    main(*sys.argv[1:])
