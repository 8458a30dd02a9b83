"""Memory: a class of 20,000 images is learned within `feature_memory`, beside the same with all of it in memory.

`make bench` prints the seconds, and the peak memory of the stages prototype, base, statistics and score.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from projects import ROOT
from ruamel.yaml import YAML

from moleflow.files.feature_store import NORMAL, Origin, write_masks, write_split
from moleflow.files.paths import Paths
from stages.check import write_resolved

COUNTS = {"train": 16_000, "rotated": 0, "calibration": 4_000, "test": 100}
ORIGIN = Origin("synthetic", "0" * 64, [1], 224, "stretch")
SMALL = {"embed_dim": 64, "couplings": 1, "dia_blocks": 0, "lora_rank": 0, "scale_context_kernel": 0}
SMALL |= {"grid": 14, "flow_layers": 0, "memory_size": 100, "epochs": 1, "warmup_epochs": 0.1, "batch_size": 64}


def synthetic_batches(count):
    """Maps of 64 channels at 14×14, 25 kB per image."""
    generator = torch.Generator().manual_seed(count)
    for start in range(0, count, 64):
        yield [torch.randn(min(64, count - start), 64, 14, 14, generator=generator)]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with params.yaml and the features of one class of 20,000 normal images, 0.5 GB."""
    root = tmp_path_factory.mktemp("big")
    paths = Paths(root)
    for split, count in COUNTS.items():
        names = [f"{split}/{row}.png" for row in range(count)]
        write_split(paths.features.of("big") / split, ORIGIN, names, synthetic_batches(count))
    probe = [f"blob/{row}" for row in range(4)]
    write_split(paths.probes.of("big") / "probe", ORIGIN, probe, synthetic_batches(4))
    write_masks(paths.probes.of("big") / "probe", np.zeros((4, 224, 224), bool))
    perturbed = [f"noise/{row}" for row in range(4)]
    write_split(paths.probes.of("big") / "perturbed", ORIGIN, perturbed, synthetic_batches(4))
    return root


def stages_in(project, memory):
    """Runs the stages from prototype to score in processes of their own; peak memory of each in GB."""
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    params.update(SMALL, feature_memory=memory, first_task="t00", later_tasks=[])
    params["classes"] = {"big": {"task": "t00", "layout": "mvtec", "path": "nowhere"}}
    paths = Paths(project)
    yaml.dump(params, paths.params)
    write_resolved(paths, params)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    peaks = {}
    for stage, arguments, cost in (
        ("prototype", ["big", "t00"], "big"),
        ("base", ["t00"], "t00"),
        ("statistics", ["big", "t00"], "big"),
        ("score", ["big"], "big"),
    ):
        # Linux counts to a process what its parent held when it started it, so a small shell stands between them.
        run = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", f"stages.{stage}", *arguments]
        subprocess.run(run, cwd=project, env=environment, check=True, capture_output=True)
        measured = json.loads(paths.costs.read_text())["stages"][stage][cost]
        peaks[stage] = round(measured["peak_memory_bytes"] / 1e9, 2)
    return peaks


@pytest.mark.benchmark(group="a class of 20,000 images, 0.5 GB of features: prototype, one epoch, scores")
@pytest.mark.parametrize("feature_memory", [0.1, 4.0])
def test_class_beyond_the_memory(benchmark, project, feature_memory):
    assert set(NORMAL) <= set(COUNTS)
    peaks = benchmark.pedantic(stages_in, (project, feature_memory), rounds=1)
    benchmark.extra_info.update({f"GB of {stage}": peak for stage, peak in peaks.items()})
