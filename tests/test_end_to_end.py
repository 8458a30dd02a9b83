"""The real stages under real DVC, in temporary clones with three small products."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import torch
from clones import SMALL, Clone, git, stages_run, write_product

from moleflow.datasets.images import image_pixels
from moleflow.defects import paint
from moleflow.experts import load_expert
from moleflow.probe_names import kinds_of, sources_of
from moleflow.prototypes import load_prototype
from moleflow.scores_file import read_record
from moleflow.scoring import SCORES
from moleflow.store import NORMAL, open_split

PRODUCTS = ("bolt", "nut", "washer")
JUDGED = {"check", "route", "misrouted", "baseline@pca", "evaluate", "report"}
LEARNT = {"check", "base", "train@t1", "train@t2", "misrouted", "evaluate", "report"}  # the routes stay the same
LEARNT |= {f"{stage}@{name}" for stage in ("statistics", "score") for name in PRODUCTS}


def test_metrics_are_made(done):
    summary, classes = done.summary(), done.metrics("classes")
    assert list(classes) == ["bolt", "nut", "washer"]
    ends = {f"false_alarm_{end}{suffix}" for end in ("low", "high") for suffix in ("", "_oracle")}
    assert set(summary) - {"continual", "calibration"} == set(classes["nut"]) - {"undefined", "alarm_rate", *ends}
    assert summary["image_auroc"] > 0.8
    assert summary["aupro"] > 0.5
    assert summary["continual"]["image_auroc"]["forgetting"]["weights"] == 0
    costs = done.costs()
    assert costs["nut"].keys() == {"seconds", "bytes", "peak_memory_bytes", "parameters"}
    assert min(costs["nut"].values()) > 0
    rivals = done.metrics("baselines")
    assert rivals["pca"]["summary"]["image_auroc"] > 0.8
    probe = done.metrics("probe")
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


def test_a_copy_shares_no_file_with_the_original(done, copy):
    original, copied = ({inode for inode, *_ in clone.files().values()} for clone in (done, copy))
    assert len(copied) == len(original)
    assert copied.isdisjoint(original)


def test_repro_again_runs_nothing_and_status_is_clean(copy):
    assert copy.repro() == set()
    assert "up to date" in copy.dvc("status", "report")
    assert git(copy.root, "status", "--porcelain") == ""


def test_experiment_on_the_loss_reruns_learning_only(copy):
    before, hashes = copy.summary(), copy.hashes()
    ran = stages_run(copy.dvc("exp", "run", "-S", "tail_weight=0.8", "report"))
    assert ran == LEARNT
    assert {path for path, md5 in copy.hashes().items() if hashes[path] != md5} >= {"data/experts/base.safetensors"}
    assert "image_auroc" in copy.dvc("metrics", "show")
    assert "0.8" in copy.dvc("exp", "show", "--csv")
    table = copy.run("moleflow", "table", "image_auroc").stdout.splitlines()
    assert table[2] == f"| 1 | {copy.summary()['image_auroc']:.3f} |"
    compared = copy.run("moleflow", "compare", "aupro").stdout.splitlines()
    assert [line.split(" | ")[1] for line in compared[2:]] == ["flow, other", "pca"]
    assert compared[2].endswith(f"| {copy.summary()['aupro']:.3f} |")
    git(copy.root, "checkout", "-q", ".")
    copy.dvc("checkout", "--with-deps", "report")
    assert copy.summary() == before
    assert copy.repro() == set()


def test_wrong_parameter_stops_with_its_name_and_loses_nothing(copy):
    hashes = copy.hashes()
    output = copy.dvc("exp", "run", "-S", "tail_weight=high", "report", check=False)
    assert "params.yaml: tail_weight" in output
    assert "Traceback" not in output
    git(copy.root, "checkout", "-q", ".")
    copy.dvc("checkout", "--with-deps", "report")
    assert copy.hashes() == hashes
    assert copy.repro() == set()


def test_product_comes_and_goes_without_touching_the_others(done, copy):
    hashes, before = done.hashes(), done.metrics("classes")
    write_product(copy.root / "data/raw/small/rivet", 7)
    copy.add("rivet", "t3")
    assert copy.repro() == {
        "index@rivet",
        "extract@rivet",
        "probe@rivet",
        "prototype@rivet",
        "train@t3",
        "statistics@rivet",
        "score@rivet",
        *JUDGED,
    }
    common = ("check", "routes.h5", "misrouted.h5", "baselines")
    older = {path: md5 for path, md5 in hashes.items() if path.split("/")[1] not in common}
    older = {path: md5 for path, md5 in older.items() if not path.startswith("metrics/")}
    assert older.items() <= copy.hashes().items()
    base = "data/experts/base.safetensors"
    assert (copy.root / base).read_bytes() == (done.root / base).read_bytes()
    after = copy.metrics("classes")
    assert list(after) == ["bolt", "nut", "washer", "rivet"]
    assert all(after[name]["image_auroc_oracle"] == before[name]["image_auroc_oracle"] for name in before)

    params = copy.params()
    del params["classes"]["rivet"]
    copy.edit(classes=params["classes"], later_tasks=["t1", "t2"])
    assert copy.repro() <= JUDGED  # the run cache may know the result
    assert older.items() <= copy.hashes().items()
    assert copy.metrics("classes") == before


def test_a_class_scores_the_same_in_a_task_of_two_as_alone_and_a_shared_expert_works_too(done, copy):
    params, alone = copy.params(), done.hashes()
    params["classes"]["washer"]["task"] = "t1"
    copy.edit(classes=params["classes"], later_tasks=["t1"])
    assert "extract@washer" not in copy.repro()
    together = copy.hashes()
    for product in ("bolt", "nut", "washer"):
        assert together[f"data/scores/{product}.h5"] == alone[f"data/scores/{product}.h5"]
    parameters = copy.costs()["nut"]["parameters"]

    copy.edit(expert_per="task")
    ran = copy.repro()
    assert {stage for stage in ran if stage.startswith(("extract", "probe", "prototype", "index"))} == set()
    assert [path.name for path in (copy.root / "data/experts/t1").iterdir()] == ["t1.safetensors"]
    assert [path.name for path in (copy.root / "data/experts/t0").iterdir()] == ["t0.safetensors"]
    costs = copy.costs()
    remembered = SMALL["memory_size"] * (40 + 112)  # patches are each product's own, the flow's tensors are shared
    shared = (parameters - remembered) // 2
    assert costs["nut"]["parameters"] == costs["washer"]["parameters"] == shared + remembered
    assert costs["bolt"]["parameters"] == parameters
    assert copy.summary()["image_auroc"] > 0.8


def test_rotated_copies_of_the_training_images_are_learnt(done, copy):
    """They stand beside the training images, the router and held-out images see none of them."""
    copy.edit(rotation_degrees=30.0)
    assert copy.repro("base") >= {"extract@bolt", "prototype@bolt", "base"}
    store = copy.root / "data/features/bolt.zarr"
    train, rotated = (open_split(store, group) for group in ("train", "rotated"))
    assert len(rotated.images) == 3 * len(train.images)
    assert rotated.images[0].startswith(train.images[0] + " turned by ")
    assert not torch.equal(rotated.maps()[0][: len(train.images)], train.maps()[0])
    unturned, after = (load_prototype(clone.root / "data/tasks/t0/bolt.safetensors") for clone in (done, copy))
    assert torch.equal(after.gaussian.center, unturned.gaussian.center)
    assert after.features_digest != unturned.features_digest


def test_cross_calibration_and_another_order_learn_again_and_extract_nothing(copy):
    """washer comes first; every later task learns one member per fold from all normals; no baselines, no changes."""
    changes = {"calibration": "cross", "first_task": "t2", "later_tasks": ["t0", "t1"], "baselines": []}
    copy.edit(**changes, probe_nuisances=[])
    ran = {stage.split("@")[0] for stage in copy.repro()}
    assert ran == {stage.split("@")[0] for stage in LEARNT} | {"probe", "route"}
    assert copy.summary()["image_auroc"] > 0.8
    assert list(copy.metrics("classes")) == ["washer", "bolt", "nut"]
    assert copy.metrics("baselines") == {}
    costs = copy.costs()
    assert costs["nut"]["parameters"] == 2 * costs["washer"]["parameters"]  # the first task always splits
    judged = read_record(copy.root / "data/statistics/nut.h5")
    learnt, held_out = (len(open_split(copy.root / "data/features/nut.zarr", split).images) for split in NORMAL[::2])
    assert len(judged.group("calibration")["fold"]) == learnt + held_out
    sources = judged.group("probe")["source"]
    assert learnt <= sources.min() <= sources.max() < learnt + held_out
    assert len(judged.group("varied")["source"]) == 0


def test_a_stage_killed_in_a_fresh_clone_leaves_nothing_and_all_files_are_those_of_the_first(done, tmp_path):
    """The lock, metrics and report of two clones with caches of their own are the same, but for measured costs."""
    clone = Clone(tmp_path / "clone")
    git(tmp_path, "clone", "-q", str(done.root), str(clone.root))
    git(clone.root, "checkout", "-q", "HEAD~1")  # the state before the run
    shutil.copytree(done.root / "data/raw", clone.root / "data/raw")
    clone.repro("base")
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "train@t1"],
        cwd=clone.root,
        env=clone.environment(),
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (clone.root / "data/curves/.t1.partial").exists():
        assert process.poll() is None, "train ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (clone.root / "data/experts/t1").exists()
    assert "train@t1" in clone.repro()
    assert clone.lock() == done.lock()  # as content: the order of the entries is that of the runs
    ours, theirs = (
        {path.relative_to(each.root).as_posix(): path.read_bytes() for path in each.root.glob("metrics/**/*.*")}
        for each in (done, clone)
    )
    assert ours.keys() == theirs.keys()
    assert [path for path in ours if ours[path] != theirs[path]] == ["metrics/costs.json"]
