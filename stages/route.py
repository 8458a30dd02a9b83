"""route: sends every test image to a product, and judges the images that went to another's expert."""

import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.expert_statistics import Expert
from moleflow.judging import SCORES, TASKS
from moleflow.params import Products, load_params
from moleflow.prototypes import Prototype, load_prototype
from moleflow.router import ROUTERS, euclidean, known_p_values, nearest_by_task, stolen_rows
from moleflow.scores_file import Arrays, Record, read_record, write_record
from moleflow.scoring import surprise
from moleflow.store import Split, open_split
from moleflow.training import PRECISIONS
from stages.judge import JudgeConfig

ROUTES, STOLEN = Path("data/routes.h5"), Path("data/stolen.h5")


class RouteConfig(Products):
    """What this stage reads of params.yaml, besides stages/judge.py."""

    router: str
    precision: str


@told_plainly
def main() -> None:
    """Writes data/routes.h5, per product distances and the chosen products by task, and data/stolen.h5.

    Verdicts on stolen images lie apart: they change with every expert, and the rivals need the routes alone.
    """
    config, judging = load_params(RouteConfig), load_params(JudgeConfig)
    precision = choose(PRECISIONS, config.precision, "precision")
    arrival = config.by_arrival
    names = list(arrival)
    known = [sum(config.tasks.index(task) <= step for task in arrival.values()) for step in range(len(config.tasks))]
    with measured("route", "all", [ROUTES, STOLEN]):
        prototypes = {name: load_prototype(TASKS / task / f"{name}.safetensors") for name, task in arrival.items()}
        arrays: Arrays = {}
        judged: Arrays = {}
        splits = {name: open_split(Path("data/features") / f"{name}.zarr", "test") for name in names}
        for name in tqdm(names, desc="route"):
            found = _distances(config.router, prototypes, splits[name], name)
            chosen = nearest_by_task(torch.from_numpy(found["distance"]), known)
            found["chosen"] = chosen[:, config.tasks.index(arrival[name]) :].numpy()
            arrays |= {f"{name}/{key}": value for key, value in found.items()}
        for name in names:
            for thief in names:
                rows = stolen_rows(arrays[f"{name}/chosen"], names.index(thief))
                if thief != name and len(rows):
                    expert = Expert(thief, arrival[thief], precision)
                    verdicts = _judge_stolen(judging, expert, splits[name], rows)
                    judged |= {f"{name}/{thief}/{key}": value for key, value in verdicts.items()}
        trained = np.array([len(prototypes[name].held_out) for name in names])
        write_record(ROUTES, Record(arrays, {"classes": np.array(names, dtype=bytes), "training_images": trained}))
        write_record(STOLEN, Record(judged, {}))


def _distances(router: str, prototypes: dict[str, Prototype], split: Split, own: str) -> Arrays:
    """Distances of a product's test images to every prototype, and how strange they are to it, (N, K) each."""
    distance = choose(ROUTERS, router, "router")
    embedded = prototypes[own].embeddings(split)
    columns: dict[str, list[np.ndarray]] = {"distance": [], "known_p_value": [], "surprise": []}
    for name, prototype in prototypes.items():
        prototype.require_origin(split)
        columns["distance"].append(distance(prototype.gaussian, embedded, name == own).numpy())
        normal, strangeness = prototype.held_out.numpy(), euclidean(prototype.gaussian, embedded, name == own).numpy()
        columns["known_p_value"].append(known_p_values(normal, strangeness))
        columns["surprise"].append(surprise(normal, strangeness))
    return {key: np.stack(each, axis=1) for key, each in columns.items()}


def _judge_stolen(judging: JudgeConfig, thief: Expert, split: Split, rows: np.ndarray) -> Arrays:
    """Verdicts of another product's expert on the images that its prototype attracts after any task."""
    record = read_record(SCORES / f"{thief.name}.h5")
    judge = judging.judge(record.group("calibration"), record.group("varied"))
    return {"row": rows, **vars(judge(thief.statistics(thief.prototype.standardised(split).take(rows))))}


if __name__ == "__main__":
    main(*sys.argv[1:])
