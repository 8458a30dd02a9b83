"""Memory of evaluate and report as products are added: they hold the scores and masks of one product at a time."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from projects import ROOT
from ruamel.yaml import YAML
from samples import TOP3

from moleflow.files.artifacts import digest, write_json, write_text
from moleflow.files.feature_store import Origin, write_masks, write_split
from moleflow.files.paths import Paths
from moleflow.files.record_file import Record, write_record
from moleflow.files.tensor_file import save_tensors
from moleflow.routing.router_file import RouterFile, write_router
from moleflow.scoring.scorer import Scorer, save_scorer
from moleflow.scoring.scores import LEFT_OUT, SCORES
from stages.check import write_resolved

NORMAL, PAINTED, PERTURBED, TEST = 32, 14, 8, 100  # images of a product
PARTS = ("nll", "latent", "neg_log_det", "memory0", "memory1", "memory2", "gaussian", "relative")
PEAK = """
import resource
from stages import {0}
{0}.main()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def statistics(rng, *shape):
    return {part: rng.normal(size=(*shape, 28, 28)).astype(np.float32) for part in PARTS}


def write_product(paths, name, task, settings):
    """Everything of a product that evaluate and report read; half of its test images have a defect with a mask."""
    rng = np.random.default_rng(0)
    groups = {
        "calibration": statistics(rng, NORMAL) | {"fold": np.zeros(NORMAL, np.int64)},
        "left_out": {part: values for part, values in statistics(rng, NORMAL).items() if part in LEFT_OUT},
        "probe": statistics(rng, PAINTED),
        "perturbed": statistics(rng, PERTURBED)
        | {"fold": np.zeros(PERTURBED, int), "session": np.ones(PERTURBED, int)},
        "test": statistics(rng, 1, TEST),
    }
    arrays = {f"{split}/{key}": array for split, group in groups.items() for key, array in group.items()}
    save_tensors(
        paths.experts / task / f"{name}.safetensors", "expert", {"x": torch.zeros(9)}, {"features": {name: "f"}}
    )
    expert = digest(paths.expert_of(name, task))
    attributes = {
        "base_digest": digest(paths.base),
        "expert_digest": expert,
        "resize": "stretch",
        "suspects": "",
        "prototype_digest": name,
    }
    write_record(paths.statistics.of(name), Record(arrays, attributes))
    scorer = Scorer.of(SCORES["combined"], settings, Record(arrays, {}))
    scores = {f"test/{key}": array for key, array in vars(scorer(groups["test"])).items()}
    rates = {"alarm_rate": 0.05, "threshold": scorer.threshold(0.05), "pixel_threshold": scorer.pixel_threshold(0.05)}
    write_record(paths.scores.of(name), Record(scores, attributes | rates))
    save_scorer(paths.scorers.of(name), scorer, {})
    origin = Origin("synthetic", "0" * 64, [1], 224, "stretch")
    images = [f"blob/{row}" for row in range(PAINTED)]
    write_split(paths.probes.of(name) / "probe", origin, images, [[torch.zeros(PAINTED, 1, 2, 2)]])
    write_masks(paths.probes.of(name) / "probe", np.ones((PAINTED, 224, 224), bool))
    label = np.arange(TEST) % 2
    table = {"path": "image.png", "split": "test", "label": label, "defect": np.where(label, "blob", "good")}
    index = pd.DataFrame(
        {**table, "mask": np.where(label, "mask.png", ""), "white": np.nan, "digest": "", "mask_digest": ""}
    )
    write_text(paths.index.of(name), index.to_csv(index=False))
    write_text(paths.curves / task / "base.csv", "epoch,loss,nll\n1,1.0,1.0\n")


@pytest.fixture(scope="module", params=[15, 100], ids=lambda products: f"{products} products")
def products(request, tmp_path_factory):
    """A folder with so many products; one product's files are made and copied, each in a task of its own."""
    root, count = tmp_path_factory.mktemp("many"), request.param
    paths, yaml = Paths(root), YAML()
    params = yaml.load(ROOT / "params.yaml")
    names = [f"p{number:03d}" for number in range(count)]
    params["classes"] = {name: {"task": name, "layout": "mvtec", "path": "nowhere"} for name in names}
    params.update(first_task=names[0], later_tasks=names[1:], baselines=[])
    yaml.dump(params, paths.params)
    write_resolved(paths, params)
    save_tensors(paths.base, "base", {"x": torch.zeros(9)}, {})
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)).save(root / "image.png")
    mask = np.zeros((224, 224), np.uint8)
    mask[40:90, 60:120] = 255
    Image.fromarray(mask).save(root / "mask.png")
    for name in names:
        write_product(paths, name, name, TOP3 | {"eval_size": 224, "map_sigma": 4.0})
    routes, rows = {}, np.ones((TEST, count))
    for number, name in enumerate(names):
        routes |= {f"{name}/distance": rows, f"{name}/known_p_value": rows, f"{name}/strangeness": rows}
        routes[f"{name}/chosen"] = np.full((TEST, count - number), number)
    write_record(paths.routes, Record(routes, {"training_images": np.full(count, 100)}))
    write_record(paths.misrouted, Record({}, {}))
    tasks = {name: name for name in names}
    write_router(
        paths.router, RouterFile(router="mahalanobis", reject_rate=0.01, tasks=names, products=tasks, prototypes=tasks)
    )
    write_json(paths.costs, {"total": {}, "products": {}, "stages": {}})
    return root


@pytest.mark.benchmark(group="evaluating and reporting products of 100 test images with masks")
@pytest.mark.parametrize("stage", ["evaluate", "report"])
def test_peak_of_evaluation(benchmark, products, stage):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run():
        # Linux counts to a process what its parent held when it started it, so a small shell stands between them.
        command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", PEAK.format(stage)]
        return subprocess.run(command, cwd=products, env=environment, check=True, capture_output=True, text=True).stdout

    printed = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info["GB at the peak"] = round(int(printed.split()[-1]) * 1024 / 1e9, 2)
