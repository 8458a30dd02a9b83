"""route: sends every test image to a product, and judges the images that went to another's expert."""

import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from moleflow.choices import choose
from moleflow.costs import measured
from moleflow.errors import told_plainly
from moleflow.judging import SCORES, TASKS, Expert
from moleflow.params import Config, ProductClass, load_params
from moleflow.prototypes import Prototype, load_prototype
from moleflow.router import ROUTERS, nearest_by_step
from moleflow.scores_file import Arrays, Record, read_record, write_record
from moleflow.store import Split, open_split
from stages.judge import JudgeConfig

OUTPUT = Path("data/routes.h5")


class RouteConfig(Config):
    """What this stage reads of params.yaml, besides stages/judge.py."""

    classes: dict[str, ProductClass]
    router: str


@told_plainly
def main() -> None:
    """Writes data/routes.h5: per product distances, the chosen products by step, and the stolen images."""
    config, judging = load_params(RouteConfig), load_params(JudgeConfig)
    names = list(config.classes)
    with measured("route", "all", [OUTPUT]):
        prototypes = {name: load_prototype(TASKS / config.classes[name].task / f"{name}.safetensors") for name in names}
        arrays: Arrays = {}
        splits = {name: open_split(Path("data/features") / f"{name}.zarr", "test") for name in names}
        for name in tqdm(names, desc="route"):
            distances = _distances(config.router, prototypes, splits[name], name)
            chosen = nearest_by_step(distances)[:, names.index(name) :]
            arrays[f"{name}/distance"], arrays[f"{name}/chosen"] = distances.numpy(), chosen.numpy()
        for name in names:
            for thief in names:
                rows = np.flatnonzero((arrays[f"{name}/chosen"] == names.index(thief)).any(1))
                if thief != name and len(rows):
                    verdicts = _judge_stolen(config, judging, thief, splits[name], rows)
                    arrays |= {f"{name}/stolen/{thief}/{key}": value for key, value in verdicts.items()}
        write_record(OUTPUT, Record(arrays, {"classes": np.array(names, dtype=bytes)}))


def _distances(router: str, prototypes: dict[str, Prototype], split: Split, own: str) -> torch.Tensor:
    """Distances of a product's test images to every prototype, (N, K)."""
    distance = choose(ROUTERS, router, "router")
    embedded = prototypes[own].embeddings(split)
    return torch.stack([distance(prototypes[name], embedded, name == own) for name in prototypes], dim=1)


def _judge_stolen(config: RouteConfig, judging: JudgeConfig, thief: str, split: Split, rows: np.ndarray) -> Arrays:
    """Verdicts of another product's expert on the images that its prototype attracts at any step."""
    expert = Expert(thief, config.classes[thief].task, judging.dtype)
    judge = judging.judge(read_record(SCORES / f"{thief}.h5").group("calibration"))
    return {"row": rows, **vars(judge(expert.halves(split, rows)))}


if __name__ == "__main__":
    main(*sys.argv[1:])
