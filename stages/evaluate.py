"""evaluate: metrics of products, forgetting, unknown products, baselines, probe and cost, with their plots."""

import shutil
import sys
from pathlib import Path
from typing import Any

from moleflow.config.errors import told_plainly
from moleflow.config.params import load_params
from moleflow.evaluation.open_set import open_set_metrics
from moleflow.evaluation.plot_tables import (
    confusion_table,
    curve_tables,
    histogram_table,
    matrix_table,
    misrouted_table,
)
from moleflow.evaluation.probe_metrics import agreement
from moleflow.evaluation.records import Records, expert_parameters
from moleflow.evaluation.results import Evaluation, evaluate, mean_metrics
from moleflow.files.artifacts import write_json, write_text, written_whole
from moleflow.files.costs import measured, summarize_costs
from moleflow.files.order import Order, read_order
from moleflow.files.paths import Paths
from moleflow.files.tidying import tidy
from moleflow.routing.rejection import TAIL_IMAGES, can_reject
from stages.evaluation_keys import EvaluationConfig
from stages.scoring_keys import ScoringConfig


class EvaluateConfig(EvaluationConfig):
    """What this stage reads of params.yaml, besides stages/scoring_keys.py."""

    baselines: list[str]


@told_plainly
def main() -> None:
    """Writes metrics/*.json, metrics/misrouted.csv and metrics/plots/."""
    paths = Paths(Path())
    config, scoring = load_params(EvaluateConfig, paths.params), load_params(ScoringConfig, paths.params)
    order = read_order(paths.order)
    tidy(paths, order, paths.index, paths.probes, paths.experts, paths.statistics, paths.scores, paths.scorers)
    tidy(paths, order, paths.curves, paths.baselines, baselines=config.baselines)
    outputs = [paths.metrics / f"{name}.json" for name in ("summary", "classes", "baselines", "probe")]
    with measured(paths.costs, "evaluate", "all", [*outputs, paths.metrics / "plots"]):
        _evaluate(paths, config, scoring, order)
    parameters = {
        product: expert_parameters(paths.expert_of(product, task)) for product, task in order.products.items()
    }
    summarize_costs(paths.costs, order.products, order.tasks[0], config.baselines, parameters)


def _evaluate(paths: Paths, config: EvaluateConfig, scoring: ScoringConfig, order: Order) -> None:
    records = Records(paths, order, size=config.eval_size, reject_rate=config.reject_rate)
    flow, sigma, settings = records.flow(), config.map_sigma, scoring.model_dump()
    evaluation = evaluate(flow, sigma=sigma)
    baselines = {baseline: evaluate(records.baseline(baseline, settings), sigma=sigma) for baseline in config.baselines}
    _warn_of_few(records.training_images, config.reject_rate)
    unknown = open_set_metrics(records.located(), config.reject_rate)
    probed = {
        product: records.candidate_metrics(product, config.baselines, settings, sigma) for product in records.names
    }

    more = {product: {**unknown[product], **_probe(probed[product][scoring.score])} for product in records.names}
    _add(evaluation, more)
    for baseline, compared in baselines.items():
        _add(compared, {product: _probe(probed[product][baseline]) for product in records.names})
    write_json(paths.metrics / "summary.json", evaluation.summary)
    write_json(paths.metrics / "classes.json", evaluation.classes)
    write_json(
        paths.metrics / "baselines.json",
        {
            baseline: {"summary": compared.summary, "classes": compared.classes}
            for baseline, compared in baselines.items()
        },
    )
    probe = {product: {"candidates": metrics, "agreement": agreement(metrics)} for product, metrics in probed.items()}
    write_json(paths.metrics / "probe.json", probe)
    images = {product: table.path.tolist() for product, table in records.tests.items()}
    distances = {product: routes["distance"] for product, routes in records.routes.items()}
    write_text(paths.metrics / "misrouted.csv", misrouted_table(images, flow, distances).to_csv(index=False))
    with written_whole(paths.metrics / "plots") as plots:
        for task in order.tasks:
            shutil.copytree(paths.curves / task, plots / "curves" / task, copy_function=shutil.copyfile)
        roc, pr = curve_tables(flow)
        tables = {"roc": roc, "pr": pr, "histogram": histogram_table(flow), "confusion": confusion_table(flow)}
        tables["matrix"] = matrix_table(evaluation, order.tasks)
        for name, table in tables.items():
            table.to_csv(plots / f"{name}.csv", index=False, float_format="%.6g")


def _warn_of_few(training_images: dict[str, int], reject_rate: float) -> None:
    """Warns if a product has too few training images: then no image can be rejected."""
    few = [f"{product} ({count})" for product, count in training_images.items() if not can_reject(count, reject_rate)]
    if few and reject_rate:
        print(
            f"warning: reject_rate: {reject_rate:g} has no effect: no image is called an unknown product as long as a "
            f"known one has fewer than {TAIL_IMAGES} training images: {', '.join(few)}",
            file=sys.stderr,
        )


def _probe(candidate: dict[str, Any]) -> dict[str, float | None]:
    return {key: candidate[key] for key in ("probe_image_auroc", "probe_pixel_ap")}


def _add(evaluation: Evaluation, more: dict[str, dict[str, float | None]]) -> None:
    """Adds metrics per product, and their means to the summary."""
    evaluation.summary.update(mean_metrics(more))
    for product, metrics in more.items():
        undefined = evaluation.classes[product].pop("undefined")
        reasons = {key: "no such image or no other product" for key, value in metrics.items() if value is None}
        evaluation.classes[product] |= {**metrics, "undefined": undefined | reasons}


if __name__ == "__main__":
    main()
