"""A product's card: what there is of it, what its alarm rate can promise, what its expert can and cannot see."""

from typing import Any, NamedTuple

import numpy as np

from moleflow.calibration.needs import alarm_needs, smallest_rate
from moleflow.evaluation.records import Records
from moleflow.files.artifacts import ArtifactError, read_json
from moleflow.files.paths import Paths
from moleflow.report.tables import cell
from moleflow.routing.rejection import rejection_needs
from moleflow.scoring.scorer import load_scorer
from moleflow.scoring.scores import name_of

NEAREST = 3  # other products that are named
SEEN = 0.9  # the probe's image AUROC from which a kind of painted defect counts as seen


class Card(NamedTuple):
    """What is said of a product.

    Attributes:
        facts: what it is to what was found.
        notes: sentences about what is odd.
    """

    facts: dict[str, str]
    notes: list[str]


def card(paths: Paths, product: str, records: Records, metrics: dict[str, Any], *, may_cross: bool) -> Card:
    """The card, without what the product cost.

    Args:
        paths: the repository's paths.
        product: the product.
        records: what the stages wrote of all products.
        metrics: content of metrics/classes.json and probe.json, by stem.
        may_cross: whether it is of a later task, whose images `calibration: cross` could all compare with.

    Returns:
        The card.

    Raises:
        ArtifactError: a file is missing or broken.
    """
    seen = read_json(paths.overviews.of(product), "dvc repro index")
    scorer, _ = load_scorer(paths.scorer_of(product))
    compared = round(scorer.weights.sum())
    normal, kinds = seen["train"] + seen["calibration"], len(np.unique(scorer.normal.session[scorer.weights > 0])) - 1
    if any(product not in numbers for numbers in metrics.values()):
        raise ArtifactError(f"the metrics in {paths.metrics} do not know {product}; run `dvc repro`")
    rate = metrics["classes"][product]["alarm_rate"]
    score = name_of(scorer.score)
    margins = list(records.margins(product).items())[:NEAREST]
    facts = {
        "alarm_rate": alarm_needs(
            rate, compared, normal, fraction=seen["calibration_fraction"], may_cross=may_cross, kinds=kinds
        ),
        "smallest alarm rate that they can promise": f"{smallest_rate(compared):g}",
        "reject_rate": rejection_needs(records.training_images[product], records.reject_rate),
        "score": f"images by {', '.join(scorer.score.image)}, maps by {', '.join(scorer.score.map)}",
        **_painted(metrics["probe"][product]["candidates"][score]["kinds"]),
        "products most like it": ", ".join(f"{other} (margin {cell(margin)})" for other, margin in margins) or "none",
        **_labeled(metrics["classes"][product]),
    }
    suspects = records.suspects(product)
    left_out = [f"{len(suspects)} training images took no part, as suspects: {', '.join(suspects)}"] if suspects else []
    return Card(seen["facts"] | facts, seen["notes"] + left_out)


def _labeled(metrics: dict[str, Any]) -> dict[str, str]:
    """How the images were judged that were labeled after the product was learned, if there are any."""
    if "feedback_images" not in metrics:
        return {}
    shares = f"false alarms {cell(metrics['feedback_false_alarm_rate'])}, recall {cell(metrics['feedback_recall'])}"
    return {"images labeled later": f"{metrics['feedback_images']:.0f}, {shares}"}


def _painted(kinds: dict[str, dict[str, float | None]]) -> dict[str, str]:
    """Which of the probe's defects are told from normal images, by image AUROC."""
    values = {kind: each["image_auroc"] for kind, each in kinds.items()}
    ranked = sorted(((value, kind) for kind, value in values.items() if value is not None), reverse=True)
    seen = [f"{kind} {cell(value)}" for value, kind in ranked if value >= SEEN]
    hardly = [f"{kind} {cell(value)}" for value, kind in ranked if value < SEEN]
    return {
        "painted defects that it sees": ", ".join(seen) or "none",
        "painted defects that it hardly sees": ", ".join(hardly) or "none",
    }
