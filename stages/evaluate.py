"""evaluate: metrics of every product, of all, of forgetting and of cost."""

import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from moleflow.artifacts import ArtifactError, digest, write_json, written_whole
from moleflow.continual import forgetting
from moleflow.costs import cost_since, read_costs
from moleflow.datasets.index import read_index
from moleflow.errors import told_plainly
from moleflow.evaluation import Judged, auroc_matrices, class_metrics, judged_images, mean_metrics
from moleflow.judging import EXPERTS, SCORES
from moleflow.params import Config, NonNegative, OpenFraction, ProductClass, load_params
from moleflow.scores_file import Record, read_record
from moleflow.tables import results_table

METRICS = Path("metrics")


class EvaluateConfig(Config):
    """What this stage reads of params.yaml."""

    classes: dict[str, ProductClass]
    alarm_rate: OpenFraction
    eval_size: Annotated[int, Field(ge=16)]
    map_sigma: NonNegative


@told_plainly
def main() -> None:
    """Writes metrics/summary.json, classes.json, costs.json and plots/."""
    start = time.perf_counter()
    config = load_params(EvaluateConfig)
    names = list(config.classes)
    routes = read_record(Path("data/routes.h5"))
    products: list[Judged] = []
    classes: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(names):
        scores = _current_scores(name, config.classes[name].task)
        index = read_index(Path("data/index") / f"{name}.csv")
        judged = judged_images(index, scores, routes.group(name), own=number, classes=names, size=config.eval_size)
        metrics, reasons = class_metrics(judged, own=number, alarm_rate=config.alarm_rate, sigma=config.map_sigma)
        classes[name] = {**metrics, "undefined": reasons}
        products.append(judged)
    lost = forgetting(*auroc_matrices(products))
    summary = {**mean_metrics(classes), "forgetting_weights": lost.weights, "forgetting_routing": lost.routing}
    write_json(METRICS / "classes.json", classes)
    with written_whole(METRICS / "plots") as plots:
        for task in dict.fromkeys(entry.task for entry in config.classes.values()):
            shutil.copytree(Path("data/curves") / task, plots / "curves" / task, copy_function=shutil.copyfile)
        _confusion(names, products).to_csv(plots / "confusion.csv", index=False)
    write_json(METRICS / "summary.json", summary)
    costs = read_costs({name: entry.task for name, entry in config.classes.items()})
    written = [METRICS / "classes.json", METRICS / "summary.json", METRICS / "plots"]
    costs["stages"]["evaluate"] = {"all": cost_since(start, written)}
    write_json(METRICS / "costs.json", costs)
    print(results_table(classes, summary))


def _current_scores(name: str, task: str) -> Record:
    """A product's scores, refused unless today's base and expert made them."""
    record = read_record(SCORES / f"{name}.h5")
    current = {"base": EXPERTS / "base.safetensors", "expert": EXPERTS / task / f"{name}.safetensors"}
    for part, path in current.items():
        if record.attributes[f"{part}_digest"] != digest(path):
            raise ArtifactError(f"{SCORES / name}.h5 was made by another {part} than {path}; run `dvc repro`")
    return record


def _confusion(names: list[str], products: list[Judged]) -> pd.DataFrame:
    """One row per test image, as `dvc plots` counts them."""
    frames = [
        pd.DataFrame({"product": name, "routed": [names[choice] for choice in judged.chosen[:, -1]]})
        for name, judged in zip(names, products, strict=True)
    ]
    return pd.concat(frames)


if __name__ == "__main__":
    main()
