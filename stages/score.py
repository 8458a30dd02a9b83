"""score: judges a product's held-out normal, probe and test images by its own expert."""

import sys
from pathlib import Path

import numpy as np

from moleflow.artifacts import digest
from moleflow.calibration import fold_numbers
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.experts import expert_file
from moleflow.judging import EXPERTS, SCORES, Expert
from moleflow.params import Config, OpenFraction, load_params
from moleflow.scores_file import Record, write_record
from moleflow.store import open_split
from stages.judge import JudgeConfig


class ScoreConfig(Config):
    """What this stage reads of params.yaml, besides stages/judge.py."""

    alarm_rate: OpenFraction


@told_plainly
def main(name: str, task: str) -> None:
    """Writes data/scores/<class>.h5."""
    config, judging = load_params(ScoreConfig), load_params(JudgeConfig)
    output, store = SCORES / f"{name}.h5", Path("data/features") / f"{name}.zarr"
    with measured("score", name, [output]):
        expert = Expert(name, task, judging.dtype)
        prototype, test = expert.prototype, open_split(store, "test")
        probe = open_split(Path("data/probes") / f"{name}.zarr", "probe")
        normal = prototype.standardised(open_split(store, "calibration"))
        folds = np.zeros(len(normal), np.int64)
        probe_rows = np.array([int(image.split("/")[1]) for image in probe.images])  # the normal image painted on
        probe_folds = folds[probe_rows]
        if len(expert.members) > 1:  # calibration: cross; the members see no image of their own fold
            held_out = len(normal)
            normal = prototype.standardised(open_split(store, "train"), open_split(store, "calibration"))
            folds = fold_numbers(len(normal), len(expert.members))
            probe_folds = folds[len(normal) - held_out + probe_rows]
        found = {
            "calibration": expert.statistics_by_fold(normal, folds),
            "probe": expert.statistics_by_fold(prototype.standardised(probe), probe_folds),
            "test": expert.statistics(prototype.standardised(test)),
        }
        judge = judging.judge(found["calibration"], folds)
        arrays = {f"{split}/{name}": values for split, each in found.items() for name, values in each.items()}
        arrays |= {f"test/{key}": value for key, value in vars(judge(found["test"])).items()}
        arrays["test/image"] = np.array(test.images, dtype=bytes)
        arrays |= {"calibration/fold": folds, "calibration/image_score": judge.normal_scores}
        attributes = {
            "alarm_rate": config.alarm_rate,
            "threshold": judge.threshold(config.alarm_rate),
            "base_digest": digest(EXPERTS / "base.safetensors"),
            "expert_digest": digest(expert_file(EXPERTS / task, name)),
            "resize": prototype.origin.resize,
        }
        write_record(output, Record(arrays, attributes))


if __name__ == "__main__":
    main(*sys.argv[1:])
