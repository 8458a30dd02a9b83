"""evaluate: metrics of products, forgetting, unknown products, baselines, probe and cost, with their plots."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from moleflow.config.errors import told_plainly
from moleflow.config.params import Config, load_params
from moleflow.evaluation.grades import CONTINUAL
from moleflow.evaluation.labeled import feedback_metrics
from moleflow.evaluation.open_set import open_set_metrics
from moleflow.evaluation.parameters import expert_parameters
from moleflow.evaluation.plot_tables import joined, matrix_table, plot_tables
from moleflow.evaluation.probe_metrics import agreement
from moleflow.evaluation.records import Records
from moleflow.evaluation.results import Evaluation, evaluate_product, mean_metrics, summarize
from moleflow.files.artifacts import write_json, write_text, written_whole
from moleflow.files.costs import measured, summarize_costs
from moleflow.files.order import Order, read_order
from moleflow.files.paths import Paths
from moleflow.files.tidying import tidy
from moleflow.routing.rejection import TAIL_IMAGES, can_reject
from stages.map_keys import MapConfig
from stages.scoring_keys import ScoringConfig


class EvaluateConfig(Config):
    """What this stage reads of params.yaml, besides stages/map_keys.py and stages/scoring_keys.py."""

    baselines: list[str]
    recalibrations: dict[str, str]


@told_plainly
def main() -> None:
    """Writes metrics/*.json, metrics/misrouted.csv and metrics/plots/."""
    paths = Paths(Path())
    config, order = load_params(EvaluateConfig, paths.params), read_order(paths.order)
    baselines = config.baselines
    tidy(paths, order, paths.index, paths.probes, paths.experts, paths.statistics, paths.scores, paths.scorers)
    tidy(paths, order, paths.curves, paths.baselines, baselines=baselines)
    tidy(paths, order, paths.recalibrations, recalibrations=config.recalibrations)
    outputs = [paths.metrics / f"{name}.json" for name in ("summary", "classes", "baselines", "probe")]
    with measured(paths.costs, "evaluate", "all", [*outputs, paths.metrics / "plots"]):
        _evaluate(paths, baselines, order)
    parameters = {
        product: expert_parameters(paths.expert_of(product, task)) for product, task in order.products.items()
    }
    summarize_costs(paths.costs, order.products, order.tasks[0], baselines, parameters)


def _evaluate(paths: Paths, baselines: list[str], order: Order) -> None:
    """One product after the other, so that no more than one product's scores and masks are held."""
    maps, scoring = load_params(MapConfig, paths.params), load_params(ScoringConfig, paths.params)
    sigma, settings = maps.map_sigma, scoring.model_dump() | maps.model_dump()
    records = Records(paths, order, size=maps.eval_size)
    _warn_of_few(records.training_images, records.reject_rate)
    results: dict[str, Any] = {method: {} for method in ("flow", *baselines)}
    located, probed, tables = {}, {}, []
    for product in tqdm(records.names, desc="evaluate", unit="product"):
        outcome = records.flow(product)
        results["flow"][product] = evaluate_product(outcome, sigma=sigma, size=maps.eval_size)
        images, distances = records.test_images(product).path.tolist(), records.routes(product)["distance"]
        tables.append(plot_tables(product, outcome, records.names, images=images, distances=distances))
        for baseline in baselines:
            compared = records.baseline(baseline, product, settings)
            results[baseline][product] = evaluate_product(compared, sigma=sigma, size=maps.eval_size)
        located[product] = records.located(product)
        probed[product] = records.candidate_metrics(product, scoring.score, baselines, settings, sigma)

    unknown = open_set_metrics(located, records.reject_rate)
    evaluations = {method: summarize(products) for method, products in results.items()}
    flow = evaluations.pop("flow")
    own = {
        product: {
            "suspects": float(len(records.suspects(product))),
            **unknown[product],
            **_probe(metrics[records.score(product)]),
            **_flow_alone(metrics),
        }
        for product, metrics in probed.items()
    }
    _add(flow, own)
    for product in records.names:
        flow.classes[product] |= feedback_metrics(paths, product)
    flow.summary["alarm_for"] = scoring.alarm_for
    for baseline, evaluation in evaluations.items():
        _add(evaluation, {product: _probe(probed[product][baseline]) for product in records.names})
    probe = {
        product: {"judged_by": records.judged_by(product), "candidates": metrics, "agreement": agreement(metrics)}
        for product, metrics in probed.items()
    }
    write_json(paths.metrics / "summary.json", flow.summary)
    write_json(paths.metrics / "classes.json", flow.classes)
    compared_to = {
        baseline: {"summary": evaluation.summary, "classes": evaluation.classes}
        for baseline, evaluation in evaluations.items()
    }
    write_json(paths.metrics / "baselines.json", compared_to)
    write_json(paths.metrics / "probe.json", probe)
    _write_tables(paths, order, {**joined(tables), "matrix": matrix_table(flow, order.tasks)})


def _write_tables(paths: Paths, order: Order, tables: dict[str, pd.DataFrame]) -> None:
    write_text(paths.metrics / "misrouted.csv", tables.pop("misrouted").to_csv(index=False))
    with written_whole(paths.metrics / "plots") as plots:
        for task in order.tasks:
            shutil.copytree(paths.curves / task, plots / "curves" / task, copy_function=shutil.copyfile)
        for name, table in tables.items():
            table.to_csv(plots / f"{name}.csv", index=False, float_format="%.6g")


def _warn_of_few(training_images: dict[str, int], reject_rate: float) -> None:
    """Warns if a product has too few training images: then no image most like it can be rejected."""
    few = [f"{product} ({count})" for product, count in training_images.items() if not can_reject(count)]
    if few and reject_rate:
        print(
            f"warning: reject_rate: {reject_rate:g} needs {TAIL_IMAGES} training images; no image that is most like "
            f"one of these products is called unknown: {', '.join(few)}",
            file=sys.stderr,
        )


def _probe(candidate: dict[str, Any]) -> dict[str, float | None]:
    return {key: candidate[key] for key in ("probe_image_auroc", "probe_pixel_ap")}


def _flow_alone(candidates: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """What the flow finds by itself, whatever the score: so that a parameter of the flow shows in the summary."""
    return {f"flow_{metric}": candidates["nll"][f"test_{metric}"] for metric in CONTINUAL}


def _add(evaluation: Evaluation, more: dict[str, dict[str, float | None]]) -> None:
    """Adds metrics per product, and their means to the summary."""
    evaluation.summary.update(mean_metrics(more))
    for product, metrics in more.items():
        undefined = evaluation.classes[product].pop("undefined")
        reasons = {key: "no such image or no other product" for key, value in metrics.items() if value is None}
        evaluation.classes[product] |= {**metrics, "undefined": undefined | reasons}


if __name__ == "__main__":
    main()
