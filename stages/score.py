"""score: makes scores, p-values and a threshold of what a product's expert said."""

import sys

from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.params import Config, OpenFraction, ParamsError, load_params
from moleflow.paths import SCORERS, SCORES, STATISTICS, product_params
from moleflow.scorer import Scorer, save_scorer
from moleflow.scores_file import Record, read_record, write_record
from moleflow.scoring import statistics_of
from stages.judge import JudgeConfig


class ScoreConfig(Config):
    """What this stage reads of params.yaml, besides stages/judge.py."""

    alarm_rate: OpenFraction


@told_plainly
def main(name: str) -> None:
    """Writes data/scores/<class>.h5 and data/scorers/<class>.safetensors."""
    params = product_params(name, "score")
    config, judging = load_params(ScoreConfig, params), load_params(JudgeConfig, params)
    scores, scorers = SCORES / f"{name}.h5", SCORERS / f"{name}.safetensors"
    with measured("score", name, [scores, scorers]):
        record = read_record(STATISTICS / f"{name}.h5")
        calibration = record.group("calibration")
        parts = statistics_of(judging.score, calibration)
        if not parts:
            raise ParamsError(f"params.yaml: score: {judging.score} looks at a memory; set memory_size above 0")
        scorer = Scorer.of(parts, judging.aggregator, calibration, record.group("varied"))
        arrays = {f"test/{key}": values for key, values in vars(scorer(record.group("test"))).items()}
        arrays["calibration/image_score"] = scorer.normal_scores
        attributes = {"alarm_rate": config.alarm_rate, "threshold": scorer.threshold(config.alarm_rate)}
        write_record(scores, Record(arrays, record.attributes | attributes))
        save_scorer(scorers, scorer)


if __name__ == "__main__":
    main(*sys.argv[1:])
