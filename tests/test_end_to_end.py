"""The real stages under real DVC, in a temporary clone with three small products."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

from moleflow.datasets.images import image_pixels
from moleflow.defects import paint
from moleflow.experts import load_expert
from moleflow.probe_names import kinds_of, sources_of
from moleflow.prototypes import load_prototype
from moleflow.scores_file import read_record
from moleflow.scoring import SCORES
from moleflow.store import NORMAL, open_split

ROOT = Path(__file__).parents[1]
SMALL = {
    "img_size": 64, "layers": [2, 3], "embed_dim": 152, "grid": 4, "flow_layers": 1, "memory_size": 20,
    "router_rank": 4, "couplings": 2, "lora_rank": 4,
    "lora_alpha": 4.0, "epochs": 2, "warmup_epochs": 1.0, "batch_size": 8, "precision": "fp32", "alarm_rate": 0.2,
    "eval_size": 32, "map_sigma": 1.0, "top_k": 1, "tail_weight": 0.7, "baselines": ["pca"], "coreset_size": 50,
    "probe_images": 2, "reject_rate": 0.1, "calibration_folds": 2,
}  # fmt: skip


class Clone:
    """A clone of the working tree with a pipeline over small products."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in git(ROOT, "ls-files", "-co", "--exclude-standard").split():
            source, target = ROOT / name, root / name
            if source.is_file() and name != "dvc.lock" and not name.startswith("metrics/"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
        self.edit(classes={}, first_task="t0", later_tasks=[], **SMALL)
        for number, name in enumerate(("bolt", "nut", "washer")):
            write_product(root / "data/raw/small" / name, number)
            self.add(name, f"t{number}")
        git(root, "init", "-q")
        self.commit()

    def edit(self, **changes):
        yaml = YAML()
        params = yaml.load(self.root / "params.yaml")
        params.update(changes)
        yaml.dump(params, self.root / "params.yaml")

    def params(self):
        return YAML(typ="safe").load(self.root / "params.yaml")

    def add(self, name, task):
        params = self.params()
        params["classes"][name] = {"task": task, "layout": "mvtec", "path": f"data/raw/small/{name}"}
        later = params["later_tasks"] + [task] * (task != params["first_task"])
        self.edit(classes=params["classes"], later_tasks=later)

    def commit(self):
        git(self.root, "add", "-A")
        git(self.root, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "state")

    def dvc(self, *arguments, check=True):
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments], cwd=self.root, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self, target="report"):
        """Runs `dvc repro` (by default all but demo); returns the stages that ran."""
        return stages_run(self.dvc("repro", target))

    def hashes(self):
        """Hash of every output in dvc.lock but measured costs, and metrics, which hold them."""
        lock = YAML(typ="safe").load(self.root / "dvc.lock")
        outs = [out for entry in lock["stages"].values() for out in entry["outs"]]
        return {out["path"]: out["md5"] for out in outs if "cost" not in out["path"] and "report" not in out["path"]}

    def summary(self):
        return json.loads((self.root / "metrics/summary.json").read_text())

    def costs(self):
        return json.loads((self.root / "metrics/costs.json").read_text())["products"]


def environment():
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "2"}


def git(root, *arguments):
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def stages_run(output):
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def write_product(root, number):
    """Stripes of a product's own direction and colour; defects are dark squares with masks."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:48, :48]
    for part, count in (("train/good", 20), ("test/good", 4), ("test/hole", 4)):
        for index in range(count):
            wave = np.sin((rows * np.cos(number) + columns * np.sin(number)) / 2 + rng.uniform(0, 6))
            pixels = np.full((48, 48, 3), 100.0) + 50 * wave[..., None] + rng.normal(0, 4, (48, 48, 3))
            pixels[..., number % 3] += 60
            mask = np.zeros((48, 48), np.uint8)
            if part == "test/hole":
                row, column = rng.integers(4, 30, 2)
                mask[row : row + 14, column : column + 14] = 255
                pixels[mask > 0] = 0
                save(root / f"ground_truth/hole/{index}_mask.png", mask)
            save(root / f"{part}/{index}.png", np.clip(pixels, 0, 255).astype(np.uint8))


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


JUDGED = {"route", "baseline@pca", "evaluate", "report"}
LEARNT = {"base", "train@t1", "train@t2", *(f"score@{name}" for name in ("bolt", "nut", "washer"))}
LEARNT |= {"route", "evaluate", "report"}  # the routes stay the same, and the rivals with them


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A clone whose pipeline ran once and was committed."""
    clone = Clone(tmp_path_factory.mktemp("clone"))
    clone.repro()
    clone.commit()
    return clone


def test_metrics_are_made(done):
    summary, classes = done.summary(), json.loads((done.root / "metrics/classes.json").read_text())
    assert list(classes) == ["bolt", "nut", "washer"]
    ends = {f"false_alarm_{end}{suffix}" for end in ("low", "high") for suffix in ("", "_oracle")}
    assert set(summary) - {"continual", "calibration"} == set(classes["nut"]) - {"undefined", *ends}
    assert summary["image_auroc"] > 0.8
    assert summary["aupro"] > 0.5
    assert summary["continual"]["image_auroc"]["forgetting"]["weights"] == 0
    costs = done.costs()
    assert costs["nut"].keys() == {"seconds", "bytes", "peak_memory_bytes", "parameters"}
    assert min(costs["nut"].values()) > 0
    rivals = json.loads((done.root / "metrics/baselines.json").read_text())
    assert rivals["pca"]["summary"]["image_auroc"] > 0.8
    probe = json.loads((done.root / "metrics/probe.json").read_text())
    assert list(probe["nut"]["candidates"]) == [*SCORES, "pca"]
    assert classes["nut"]["probe_image_auroc"] == probe["nut"]["candidates"]["hybrid"]["probe_image_auroc"]
    assert (done.root / "metrics/report/index.html").is_file()


def test_experts_remember_all_layers_and_the_flow_models_the_first(done):
    for product, task in (("bolt", "t0"), ("nut", "t1")):
        expert = done.root / f"data/experts/{task}/{product}.safetensors"
        (density,), (memory,) = load_expert(done.root / "data/experts/base.safetensors", expert, product=product)
        assert [tuple(patches.shape) for patches in memory.patches] == [(20, 40), (20, 112)]
        assert density.channels == 40


def test_every_mask_of_the_probe_is_that_of_its_image(done):
    """Images are painted on several threads."""
    table, params = pd.read_csv(done.root / "data/index/nut.csv"), done.params()
    normal = table.path[table.split == "calibration"].tolist()
    split = open_split(done.root / "data/probes/nut.zarr", "probe")
    pairs = zip(kinds_of(split.images), sources_of(split.images), split.masks(), strict=True)
    for number, (kind, row, mask) in enumerate(pairs):
        pixels = image_pixels(done.root / normal[row], params["img_size"], params["resize"])
        assert (mask == paint(pixels, kind, number % params["probe_images"])[1]).all()


def test_repro_again_runs_nothing_and_status_is_clean(done):
    assert done.repro() == set()
    assert "up to date" in done.dvc("status", "report")
    assert git(done.root, "status", "--porcelain") == ""


def test_experiment_on_the_loss_reruns_learning_only(done):
    before, hashes = done.summary(), done.hashes()
    ran = stages_run(done.dvc("exp", "run", "-S", "tail_weight=0.8", "report"))
    assert ran == LEARNT
    assert {path for path, md5 in done.hashes().items() if hashes[path] != md5} >= {"data/experts/base.safetensors"}
    assert "image_auroc" in done.dvc("metrics", "show")
    assert "0.8" in done.dvc("exp", "show", "--csv")
    table = subprocess.run(
        [sys.executable, "-m", "moleflow", "table", "image_auroc"],
        cwd=done.root,
        env={**environment(), "PYTHONPATH": str(done.root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert table.stdout.splitlines()[2] == f"| 1 | {done.summary()['image_auroc']:.3f} |"
    compared = subprocess.run(
        [sys.executable, "-m", "moleflow", "compare", "aupro"],
        cwd=done.root,
        env={**environment(), "PYTHONPATH": str(done.root)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [line.split(" | ")[1] for line in compared[2:]] == ["flow, other", "pca"]
    assert compared[2].endswith(f"| {done.summary()['aupro']:.3f} |")
    git(done.root, "checkout", "-q", ".")
    done.dvc("checkout")
    assert done.summary() == before
    assert done.repro() == set()


def test_wrong_parameter_stops_with_its_name_and_loses_nothing(done):
    hashes = done.hashes()
    output = done.dvc("exp", "run", "-S", "tail_weight=high", "report", check=False)
    assert "params.yaml: tail_weight" in output
    assert "Traceback" not in output
    git(done.root, "checkout", "-q", ".")
    done.dvc("checkout")
    assert done.hashes() == hashes
    assert done.repro() == set()


def test_product_comes_and_goes_without_touching_the_others(done):
    hashes, before = done.hashes(), json.loads((done.root / "metrics/classes.json").read_text())
    expert = (done.root / "data/experts/base.safetensors").read_bytes()
    write_product(done.root / "data/raw/small/rivet", 7)
    done.add("rivet", "t3")
    assert done.repro() == {
        "index@rivet",
        "extract@rivet",
        "probe@rivet",
        "prototype@rivet",
        "train@t3",
        "score@rivet",
        *JUDGED,
    }
    older = {
        path: md5 for path, md5 in hashes.items() if path.split("/")[1] not in ("routes.h5", "stolen.h5", "baselines")
    }
    older = {path: md5 for path, md5 in older.items() if not path.startswith("metrics/")}
    assert older.items() <= done.hashes().items()
    assert (done.root / "data/experts/base.safetensors").read_bytes() == expert
    after = json.loads((done.root / "metrics/classes.json").read_text())
    assert list(after) == ["bolt", "nut", "washer", "rivet"]
    assert all(after[name]["image_auroc_oracle"] == before[name]["image_auroc_oracle"] for name in before)

    params = done.params()
    del params["classes"]["rivet"]
    done.edit(classes=params["classes"], later_tasks=["t1", "t2"])
    assert done.repro() <= JUDGED  # the run cache may know the result
    assert older.items() <= done.hashes().items()
    assert json.loads((done.root / "metrics/classes.json").read_text()) == before


def test_first_task_of_several_classes_learns_one_base(done):
    """First two products as one task: the base learns both, each with an expert of its own."""
    params = done.params()
    params["classes"]["nut"]["task"] = "t0"
    done.edit(classes=params["classes"], later_tasks=["t2"])
    assert "extract@nut" not in done.repro()
    assert {path.stem for path in (done.root / "data/experts/t0").iterdir()} == {"bolt", "nut"}
    assert done.summary()["image_auroc"] > 0.8
    git(done.root, "checkout", "-q", ".")
    done.dvc("checkout")


def test_a_class_scores_the_same_in_a_task_of_two_as_alone_and_a_shared_expert_works_too(done):
    params, alone = done.params(), done.hashes()
    params["classes"]["washer"]["task"] = "t1"
    done.edit(classes=params["classes"], later_tasks=["t1"])
    assert "extract@washer" not in done.repro()
    together = done.hashes()
    for product in ("bolt", "nut", "washer"):
        assert together[f"data/scores/{product}.h5"] == alone[f"data/scores/{product}.h5"]
    parameters = done.costs()["nut"]["parameters"]

    done.edit(expert_per="task")
    ran = done.repro()
    assert {stage for stage in ran if stage.startswith(("extract", "probe", "prototype", "index"))} == set()
    assert [path.name for path in (done.root / "data/experts/t1").iterdir()] == ["t1.safetensors"]
    assert [path.name for path in (done.root / "data/experts/t0").iterdir()] == ["t0.safetensors"]
    costs = done.costs()
    remembered = SMALL["memory_size"] * (40 + 112)  # patches are each product's own, the flow's tensors are shared
    shared = (parameters - remembered) // 2
    assert costs["nut"]["parameters"] == costs["washer"]["parameters"] == shared + remembered
    assert costs["bolt"]["parameters"] == parameters
    assert done.summary()["image_auroc"] > 0.8
    git(done.root, "checkout", "-q", ".")
    done.dvc("checkout")


def test_rotated_copies_of_the_training_images_are_learnt(done):
    """They stand beside the training images, the router and held-out images see none of them."""
    before = (done.root / "data/tasks/t0/bolt.safetensors").read_bytes()
    done.edit(rotation_degrees=30.0)
    assert done.repro("base") >= {"extract@bolt", "prototype@bolt", "base"}
    store = done.root / "data/features/bolt.zarr"
    train, rotated = (open_split(store, group) for group in ("train", "rotated"))
    assert len(rotated.images) == 3 * len(train.images)
    assert rotated.images[0].startswith(train.images[0] + " turned by ")
    assert not torch.equal(rotated.maps()[0][: len(train.images)], train.maps()[0])
    after = load_prototype(done.root / "data/tasks/t0/bolt.safetensors")
    (done.root / "before.safetensors").write_bytes(before)
    unturned = load_prototype(done.root / "before.safetensors")
    assert torch.equal(after.gaussian.center, unturned.gaussian.center)
    assert after.features_digest != unturned.features_digest
    (done.root / "before.safetensors").unlink()
    git(done.root, "checkout", "-q", ".")
    done.dvc("checkout")


def test_cross_calibration_and_another_order_learn_again_and_extract_nothing(done):
    """Every later task learns one member per fold from all normals; then washer comes first, without rivals."""
    done.edit(calibration="cross")
    assert done.repro() == {"train@t1", "train@t2", "score@nut", "score@washer", "route", "evaluate", "report"}
    assert done.summary()["image_auroc"] > 0.8
    costs = done.costs()
    assert costs["nut"]["parameters"] == 2 * costs["bolt"]["parameters"]
    judged = read_record(done.root / "data/scores/nut.h5")
    learnt, held_out = (len(open_split(done.root / "data/features/nut.zarr", split).images) for split in NORMAL[::2])
    assert len(judged.group("calibration")["fold"]) == learnt + held_out
    sources = judged.group("varied")["source"]
    assert learnt <= sources.min() <= sources.max() < learnt + held_out
    changes = {"calibration": "split", "first_task": "t2", "later_tasks": ["t0", "t1"], "baselines": []}
    done.edit(**changes, probe_nuisances=[])
    ran = {stage.split("@")[0] for stage in done.repro()}
    assert ran == {"probe", "base", "train", "score", "route", "evaluate", "report"}
    classes = json.loads((done.root / "metrics/classes.json").read_text())
    assert list(classes) == ["washer", "bolt", "nut"]
    assert json.loads((done.root / "metrics/baselines.json").read_text()) == {}
    git(done.root, "checkout", "-q", ".")
    done.dvc("checkout")


def test_killed_stage_leaves_nothing_and_a_second_run_gives_the_same_bytes(done, tmp_path):
    clone = Clone(tmp_path)
    clone.repro("base")
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "train@t1"], cwd=tmp_path, env=environment(), start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "data/curves/.t1.partial").exists():
        assert process.poll() is None, "train ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "data/experts/t1").exists()
    assert "train@t1" in clone.repro("score@nut")
    assert clone.hashes()["data/scores/nut.h5"] == done.hashes()["data/scores/nut.h5"]
    assert clone.hashes().items() <= done.hashes().items()
