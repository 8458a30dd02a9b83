"""score: turns the statistics of a product's expert into scores, p-values and a threshold."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moleflow.config.errors import told_plainly
from moleflow.config.params import Config, OpenFraction, load_params
from moleflow.files.costs import measured
from moleflow.files.paths import Paths
from moleflow.files.record_file import Record, read_record, write_record
from moleflow.files.split_names import FEEDBACK
from moleflow.scoring.choice import chosen_score
from moleflow.scoring.regions import read_region
from moleflow.scoring.scorer import Scorer, save_scorer
from stages.map_keys import MapConfig
from stages.scoring_keys import ScoringConfig


class ScoreConfig(Config):
    """What this stage reads of params.yaml, besides stages/scoring_keys.py."""

    alarm_rate: OpenFraction


@told_plainly
def main(name: str) -> None:
    """Writes data/scores/<product>.h5 and data/scorers/<product>.safetensors.

    Args:
        name: the product.
    """
    paths = Paths(Path())
    params = paths.product_params(name, "score")
    config, scoring = load_params(ScoreConfig, params), load_params(ScoringConfig, params)
    maps = load_params(MapConfig, params)
    scores, scorers = paths.scores.of(name), paths.scorers.of(name)
    with measured(paths.costs, "score", name, [scores, scorers]):
        record = read_record(paths.statistics.of(name))
        settings = scoring.model_dump() | maps.model_dump()
        side = record.group("calibration")["nll"].shape[-1]
        region = read_region(paths.regions.of(name), side, str(record.attributes["resize"]))
        score = chosen_score(scoring.score, settings, record, region)
        scorer = Scorer.of(score, settings, record, region=region)
        save_scores(scores, scorers, scorer, record, {"alarm_rate": config.alarm_rate, "alarm_for": scoring.alarm_for})


def save_scores(
    scores: Path,
    scorers: Path,
    scorer: Scorer,
    record: Record,
    promise: dict[str, Any],
    calibrated_by: Sequence[str] = (),
) -> None:
    """Writes a scorer, and what it says of the test images and of those that were labeled later.

    Args:
        scores: the file of scores.
        scorers: the file of the scorer.
        scorer: the scorer.
        record: the product's statistics.
        promise: alarm_rate and alarm_for.
        calibrated_by: digests of the images that calibrate the scorer, if they are not those of the index.
    """
    arrays = {f"test/{key}": array for key, array in vars(scorer(record.group("test"))).items()}
    arrays["calibration/image_score"] = scorer.unchanged_scores
    if calibrated_by:
        arrays["calibration/digest"] = np.array(calibrated_by, "S64")
    labeled = record.group(FEEDBACK)
    if labeled:
        arrays[f"{FEEDBACK}/p_value"] = scorer(labeled).p_value
    rate = promise["alarm_rate"]
    thresholds = {"threshold": scorer.threshold(rate), "pixel_threshold": scorer.pixel_threshold(rate)}
    write_record(scores, Record(arrays, record.attributes | promise | thresholds))
    links = ("precision", "base_digest", "expert_digest", "prototype_digest")
    how = {"alarm_rate": rate, "orientations": int(record.attributes["orientations"])}
    save_scorer(scorers, scorer, how | {key: str(record.attributes[key]) for key in links})


if __name__ == "__main__":
    main(*sys.argv[1:])
