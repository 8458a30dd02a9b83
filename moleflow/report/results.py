"""All results of a commit as Markdown, for the terminal and the README."""

from typing import Any

from moleflow.report import tables

PROMISED = {  # what `alarm_for` means
    "session": "the rate is promised for images as the calibration images are",
    "shifted": "the rate is promised for other days too, as far as they are like the probe's harmless changes",
}


def results(metrics: dict[str, Any]) -> str:
    """All results of a commit.

    Args:
        metrics: content of the files in metrics/ by stem: summary, classes, baselines, probe, costs.

    Returns:
        Markdown, a heading and one or more tables per subject.
    """
    summary, classes, baselines = metrics["summary"], metrics["classes"], metrics["baselines"]
    parts = {
        "Accuracy, product not given": [tables.accuracy_table(classes, summary)],
        "Alarms at the threshold from normal images alone": [tables.alarms_table(classes, summary)],
        f"The same thresholds, product given; {PROMISED[summary['alarm_for']]}": [
            tables.thresholds_table(classes, summary)
        ],
        "Continual learning": [tables.continual_table(summary)],
    }
    if any("feedback_images" in product for product in classes.values()):
        parts["Images labeled later, product given"] = [tables.feedback_table(classes)]
    if baselines:
        parts["The flow and its baselines on the same features"] = [
            tables.baselines_table(summary, baselines),
            *(tables.baselines_by_product_table(classes, baselines, metric) for metric in ("image_auroc", "pixel_ap")),
        ]
    parts |= {
        "The probe: synthetic defects on calibration images against the test": [
            tables.judged_table(metrics["probe"]),
            tables.agreement_table(metrics["probe"]),
            tables.probe_table(metrics["probe"]),
        ],
        "Cost of each product": [tables.costs_table(metrics["costs"]["products"])],
        "Cost of each stage": [tables.stage_costs_table(metrics["costs"]["stages"])],
    }
    return "\n\n".join(
        "\n\n".join([f"### {heading}", *(table.markdown() for table in subject)]) for heading, subject in parts.items()
    )
