"""What the n-th product costs: to add it, to route among all, and to find by `dvc repro` that nothing is to do."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from projects import ROOT, Clone, git
from ruamel.yaml import YAML

from moleflow.files.feature_store import Origin, write_masks, write_split
from moleflow.files.paths import Paths
from stages import base, prototype, route, score, statistics, train
from stages.check import write_resolved

ORIGIN = Origin("synthetic", "0" * 64, [1], 224, "stretch")
SMALL = {"layers": [1], "embed_dim": 64, "flow_layers": 0, "memory_size": 200, "grid": 14, "epochs": 2}
SMALL |= {"warmup_epochs": 1.0, "baselines": []}
COUNTS = {"train": 32, "rotated": 0, "calibration": 8, "test": 8}


def name_of(number):
    return f"c{number:03d}"


def write_params(project, products):
    """params.yaml with so many products, each a task of its own."""
    yaml = YAML()
    source = project / "params.yaml"
    params = yaml.load(source if source.is_file() else ROOT / "params.yaml")
    tasks = [f"t{number:03d}" for number in range(products)]
    params.update(SMALL, first_task=tasks[0], later_tasks=tasks[1:])
    params["classes"] = {
        name_of(number): {"task": task, "layout": "mvtec", "path": f"data/raw/{name_of(number)}"}
        for number, task in enumerate(tasks)
    }
    yaml.dump(params, project / "params.yaml")
    return params


def write_features(project, number):
    """A product's stores: 64 channels at 14×14 around a place of its own."""
    paths, generator = Paths(project), torch.Generator().manual_seed(number)
    center = torch.randn(64, 1, 1, generator=generator)

    def maps(count):
        return [[torch.randn(count, 64, 14, 14, generator=generator) + center]] if count else []

    for split, count in COUNTS.items():
        images = [f"{split}/{row}.png" for row in range(count)]
        write_split(paths.features.of(name_of(number)) / split, ORIGIN, images, maps(count))
    probes = paths.probes.of(name_of(number))
    write_split(probes / "probe", ORIGIN, [f"blob/{row}" for row in range(4)], maps(4))
    write_masks(probes / "probe", np.zeros((4, 224, 224), bool))
    write_split(probes / "perturbed", ORIGIN, [f"noise/{row}" for row in range(4)], maps(4))


def add(number):
    """Prototype, expert and scores of a product; bytes of what they wrote."""
    name, task = name_of(number), f"t{number:03d}"
    prototype.main(name, task)
    base.main(task) if number == 0 else train.main(task)
    statistics.main(name, task)
    score.main(name)
    paths = Paths(Path())
    written = [paths.experts / task, paths.tasks / task, paths.statistics.of(name)]
    files = [file for path in written for file in ([path] if path.is_file() else path.iterdir())]
    return sum(file.stat().st_size for file in files)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A folder with 100 products."""
    project = tmp_path_factory.mktemp("grown")
    before = Path.cwd()
    os.chdir(project)
    for number in range(100):
        write_features(project, number)
        write_resolved(Paths(project), write_params(project, number + 1))
        add(number)
    yield project
    os.chdir(before)


@pytest.mark.benchmark(group="adding a product of 32 images: prototype, expert and scores")
@pytest.mark.parametrize("products", [2, 10, 100])
def test_adding_the_nth_product(benchmark, grown, products):
    write_resolved(Paths(grown), write_params(grown, products))
    benchmark.extra_info["kB written"] = round(add(products - 1) / 1e3)
    benchmark.pedantic(add, (products - 1,), rounds=5)


@pytest.mark.benchmark(group="routing 8 test images of each product (stage route)")
@pytest.mark.parametrize("products", [2, 10, 100])
def test_routing(benchmark, grown, products):
    write_resolved(Paths(grown), write_params(grown, products))
    benchmark.pedantic(route.main, rounds=3)
    benchmark.extra_info["ms per image"] = round(benchmark.stats.stats.min / products / COUNTS["test"] * 1e3, 2)


def write_dummies(project):
    """Every output of every stage as a small file, and every image folder."""
    import dvc.repo

    with dvc.repo.Repo(str(project)) as repo:
        for stage in repo.index.stages:
            for dep in stage.deps:
                path = Path(dep.fs_path)
                if "raw" in path.parts and not path.exists():
                    path.mkdir(parents=True)
                    (path / "image.png").write_bytes(path.name.encode())
            for out in stage.outs:
                path = Path(out.fs_path)
                folder = path.suffix in {"", ".zarr"}
                file = path / "part" if folder else path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"{path.relative_to(project)}")
        for stage in repo.index.stages:  # some depend on a part of another's output
            for dep in stage.deps:
                path = Path(dep.fs_path)
                if not path.exists():
                    file = path if path.suffix or "check" in path.parts else path / "part"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text("x")


def checked_out(project, commit):
    """A repository with the files of a commit, or of the working tree."""
    if commit == "this":
        Clone.of_working_tree(project)
    else:
        try:
            archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        except subprocess.CalledProcessError:
            pytest.skip(f"the repository has no commit {commit}")
        subprocess.run(["tar", "-x"], input=archive, cwd=project, check=True)
        git(project, "init", "-q")
    (project / "dvc.lock").unlink(missing_ok=True)


@pytest.mark.benchmark(group="`dvc repro` with nothing to do")
@pytest.mark.parametrize("classes", [5, 15, 100])
@pytest.mark.parametrize("commit", ["this", "e03b841"])
def test_repro_of_nothing(benchmark, tmp_path, classes, commit):
    checked_out(tmp_path, commit)
    write_params(tmp_path, classes)
    run = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True}
    write_dummies(tmp_path)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "commit", "-f", "-q"], **run)
    done = benchmark.pedantic(subprocess.run, ([*dvc, "repro"],), run, rounds=1 if classes == 100 else 3)
    assert "Running" not in done.stdout, done.stdout
