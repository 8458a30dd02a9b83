"""evaluate: metrics of products, forgetting, unknown products, rivals, probe and cost, with their plots."""

import shutil
import sys
from typing import Any

from moleflow.artifacts import write_json, write_text, written_whole
from moleflow.costs import measured, summarize_costs
from moleflow.errors import told_plainly
from moleflow.evaluation import Evaluation, evaluate, mean_metrics
from moleflow.expert_file import expert_file, expert_parameters
from moleflow.openset import open_set_metrics
from moleflow.order import Order, read_order
from moleflow.params import load_params
from moleflow.paths import BASELINES, CURVES, EXPERTS, INDEX, METRICS, PROBES, SCORERS, SCORES, STATISTICS
from moleflow.plot_data import confusion_table, curve_tables, histogram_table, matrix_table, stolen_table
from moleflow.probing import agreement
from moleflow.records import Records
from moleflow.router import TAIL_IMAGES, can_reject
from moleflow.tidying import tidy
from stages.grading import GradingConfig
from stages.judge import JudgeConfig


class EvaluateConfig(GradingConfig):
    """What this stage reads of params.yaml, besides stages/judge.py."""

    baselines: list[str]


@told_plainly
def main() -> None:
    """Writes metrics/*.json, metrics/stolen.csv and metrics/plots/."""
    config, judging, order = load_params(EvaluateConfig), load_params(JudgeConfig), read_order()
    tidy(order, INDEX, PROBES, EXPERTS, STATISTICS, SCORES, SCORERS, CURVES, BASELINES, baselines=config.baselines)
    outputs = [METRICS / f"{name}.json" for name in ("summary", "classes", "baselines", "probe")]
    with measured("evaluate", "all", [*outputs, METRICS / "plots"]):
        _evaluate(config, judging, order)
    parameters = {name: expert_parameters(expert_file(EXPERTS / task, name)) for name, task in order.products.items()}
    summarize_costs(order.products, order.tasks[0], config.baselines, parameters)


def _evaluate(config: EvaluateConfig, judging: JudgeConfig, order: Order) -> None:
    records = Records(order, size=config.eval_size, reject_rate=config.reject_rate)
    flow, sigma = records.flow(), config.map_sigma
    evaluation = evaluate(flow, sigma=sigma)
    baselines = {name: evaluate(records.baseline(name, judging.aggregator), sigma=sigma) for name in config.baselines}
    _warn_of_few(records.training_images, config.reject_rate)
    unknown = open_set_metrics(records.located(), config.reject_rate)
    weighed = {name: records.weighed(name, config.baselines, judging.aggregator, sigma) for name in records.names}

    _add(evaluation, {name: {**unknown[name], **_probe(weighed[name][judging.score])} for name in records.names})
    for baseline, its in baselines.items():
        _add(its, {name: _probe(weighed[name][baseline]) for name in records.names})
    write_json(METRICS / "summary.json", evaluation.summary)
    write_json(METRICS / "classes.json", evaluation.classes)
    write_json(
        METRICS / "baselines.json",
        {name: {"summary": its.summary, "classes": its.classes} for name, its in baselines.items()},
    )
    judged = {name: {"candidates": each, "agreement": agreement(each)} for name, each in weighed.items()}
    write_json(METRICS / "probe.json", judged)
    images = {name: table.path.tolist() for name, table in records.tests.items()}
    distances = {name: routes["distance"] for name, routes in records.routes.items()}
    write_text(METRICS / "stolen.csv", stolen_table(images, flow, distances).to_csv(index=False))
    with written_whole(METRICS / "plots") as plots:
        for task in order.tasks:
            shutil.copytree(CURVES / task, plots / "curves" / task, copy_function=shutil.copyfile)
        roc, pr = curve_tables(flow)
        tables = {"roc": roc, "pr": pr, "histogram": histogram_table(flow), "confusion": confusion_table(flow)}
        tables["matrix"] = matrix_table(evaluation, order.tasks)
        for name, table in tables.items():
            table.to_csv(plots / f"{name}.csv", index=False, float_format="%.6g")


def _warn_of_few(training_images: dict[str, int], reject_rate: float) -> None:
    """One product of which too little is known keeps every image from being called unknown."""
    few = [f"{name} ({count})" for name, count in training_images.items() if not can_reject(count, reject_rate)]
    if few and reject_rate:
        print(
            f"warning: reject_rate: {reject_rate:g} has no effect: no image is called an unknown product as long as a "
            f"known one has fewer than {TAIL_IMAGES} training images: {', '.join(few)}",
            file=sys.stderr,
        )


def _probe(weighed: dict[str, Any]) -> dict[str, float | None]:
    return {key: weighed[key] for key in ("probe_image_auroc", "probe_pixel_ap")}


def _add(evaluation: Evaluation, more: dict[str, dict[str, float | None]]) -> None:
    """Adds metrics per product, and their means to the summary."""
    evaluation.summary.update(mean_metrics(more))
    for name, metrics in more.items():
        undefined = evaluation.classes[name].pop("undefined")
        reasons = {key: "no such image or no other product" for key, value in metrics.items() if value is None}
        evaluation.classes[name] |= {**metrics, "undefined": undefined | reasons}


if __name__ == "__main__":
    main()
