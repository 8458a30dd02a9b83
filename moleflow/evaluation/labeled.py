"""What became of images that were labeled after their product was learned."""

import numpy as np

from moleflow.calibration.conformal import alarms
from moleflow.evaluation.metrics import alarm_metrics
from moleflow.files.paths import Paths
from moleflow.files.record_file import read_record
from moleflow.files.split_names import FEEDBACK
from moleflow.images.index_table import read_index


def feedback_metrics(paths: Paths, product: str) -> dict[str, float | None]:
    """Counts alarms on a product's labeled images, judged by its own expert.

    Args:
        paths: the repository's paths.
        product: its name.

    Returns:
        feedback_images; feedback_false_alarm_rate, of the normal ones but those that set the threshold;
        feedback_recall, of the defective ones; a share is None where there is no such image. Empty without labeled
        images.

    Raises:
        ArtifactError: a file is missing or broken.
    """
    table, scores = read_index(paths.index.of(product)), paths.scores_of(product)
    labeled = table[table.split == FEEDBACK]
    if labeled.empty:
        return {}
    record, calibration = read_record(scores, FEEDBACK), read_record(scores, "calibration")
    raised = alarms(record.arrays["p_value"], float(record.attributes["alarm_rate"]))
    calibrating = calibration.arrays.get("digest", np.array([], "S64")).astype(str)
    others = ~np.isin(labeled.digest.to_numpy(str), calibrating)
    found = alarm_metrics(labeled.label.to_numpy()[others], raised[others])
    return {
        "feedback_images": float(len(labeled)),
        "feedback_false_alarm_rate": found.false_alarm_rate,
        "feedback_recall": found.recall,
    }
