"""score: judges a product's held-out normal, probe, varied and test images by its own expert."""

import sys
from pathlib import Path

import numpy as np

from moleflow.artifacts import digest
from moleflow.calibration import fold_numbers
from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.expert_file import expert_file
from moleflow.expert_statistics import Expert
from moleflow.judging import EXPERTS, SCORES
from moleflow.params import Config, OpenFraction, load_params
from moleflow.probe_names import sources_of
from moleflow.scores_file import Arrays, Record, write_record
from moleflow.store import open_split
from moleflow.training import PRECISIONS
from stages.judge import JudgeConfig


class ScoreConfig(Config):
    """What this stage reads of params.yaml, besides stages/judge.py."""

    alarm_rate: OpenFraction
    precision: str


@told_plainly
def main(name: str, task: str) -> None:
    """Writes data/scores/<class>.h5."""
    config, judging = load_params(ScoreConfig), load_params(JudgeConfig)
    output, store, probes = (
        SCORES / f"{name}.h5", Path("data/features") / f"{name}.zarr", Path("data/probes") / f"{name}.zarr",
    )  # fmt: skip
    with measured("score", name, [output]):
        expert = Expert(name, task, choose(PRECISIONS, config.precision, "precision"))
        prototype, test = expert.prototype, open_split(store, "test")
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
        judge = judging.judge(found["calibration"], found["varied"])
        judged = expert.statistics(prototype.standardised(test))
        found["test"] = judged | vars(judge(judged)) | {"image": np.array(test.images, dtype=bytes)}
        found["calibration"]["image_score"] = judge.normal_scores
        arrays = {f"{split}/{name}": values for split, each in found.items() for name, values in each.items()}
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
