"""score: judges a product's held-out and test images by its own expert."""

import sys
from pathlib import Path

import numpy as np

from moleflow.artifacts import digest
from moleflow.costs import measured
from moleflow.errors import told_plainly
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
        splits = {split: open_split(store, split) for split in ("calibration", "test")}
        halves = {split: expert.halves(each) for split, each in splits.items()}
        judge = judging.judge(halves["calibration"])
        verdicts = judge(halves["test"])
        arrays = {f"{split}/{half}": values for split, each in halves.items() for half, values in each.items()}
        arrays |= {f"test/{key}": value for key, value in vars(verdicts).items()}
        arrays["test/image"] = np.array(splits["test"].images, dtype=bytes)
        arrays["calibration/image_score"] = judge.normal_scores
        attributes = {
            "alarm_rate": config.alarm_rate,
            "threshold": judge.threshold(config.alarm_rate),
            "base_digest": digest(EXPERTS / "base.safetensors"),
            "expert_digest": digest(EXPERTS / task / f"{name}.safetensors"),
            "resize": expert.prototype.origin.resize,
        }
        write_record(output, Record(arrays, attributes))


if __name__ == "__main__":
    main(*sys.argv[1:])
