"""The real stages in process, over three small products: what they make together."""

import pandas as pd
import pytest
import torch
from projects import PRODUCTS, SMALL, write_product
from samples import CPU

from moleflow.features.prototype import load_prototype
from moleflow.files.feature_store import NORMAL, open_split
from moleflow.files.paths import Paths
from moleflow.files.probe_names import kinds_of, sources_of
from moleflow.files.record_file import read_record
from moleflow.files.tensor_file import load_tensors
from moleflow.flow.expert_files import load_expert
from moleflow.images.reading import image_pixels
from moleflow.learning.training_images import FEW
from moleflow.probe.defects import paint
from moleflow.scoring.scores import SCORES

LEARNING = ("check", "base", "train", "statistics", "route", "misrouted", "score", "baseline", "evaluate", "report")


def test_metrics_are_made(done):
    summary, classes = done.summary(), done.metrics("classes")
    assert list(classes) == [*PRODUCTS]
    ends = {f"false_alarm_{end}{suffix}" for end in ("low", "high") for suffix in ("", "_own_expert")}
    of_all = {"continual", "calibration", "own_experts_after_each_task", "alarm_for", "pooled_image_auroc"}
    assert set(summary) - of_all == set(classes["nut"]) - {"undefined", "alarm_rate", *ends}
    assert summary["image_auroc"] > 0.8
    assert summary["aupro"] > 0.5
    assert summary["continual"]["image_auroc"]["forgetting"]["own_expert"] == 0
    assert summary["own_experts_after_each_task"] == "proved by digest"
    costs = done.costs()
    assert costs["nut"].keys() == {"seconds", "bytes", "peak_memory_bytes", "parameters"}
    assert min(costs["nut"].values()) > 0
    assert done.metrics("baselines")["pca"]["summary"]["image_auroc"] > 0.8
    probe = done.metrics("probe")
    of_one_branch = [name for name in SCORES if name != "dual"]
    assert list(probe["nut"]["candidates"]) == [*of_one_branch, "probe", "pca"]
    assert classes["nut"]["probe_image_auroc"] == probe["nut"]["candidates"]["probe"]["probe_image_auroc"]
    for weighed in probe.values():  # what is named tells painted images as what judges them does
        named, judging = (weighed["candidates"][name] for name in (weighed["judged_by"], "probe"))
        assert named["probe_image_auroc"] == judging["probe_image_auroc"]
        assert named["test_image_auroc"] == judging["test_image_auroc"]
    assert (done.root / "metrics/report/index.html").is_file()


def test_experts_remember_all_layers_and_the_flow_models_the_first(done):
    paths = Paths(done.root)
    for product, task in (("bolt", "t0"), ("nut", "t1")):
        (density,), (normal,), _ = load_expert(paths.base, paths.expert_of(product, task), product=product, device=CPU)
        assert [tuple(patches.shape) for patches in normal.memory.patches] == [(20, 40), (20, 112)]
        assert density.channels == 40


def test_every_mask_of_the_probe_is_that_of_its_image(done):
    """Images are painted on several threads."""
    table, params = pd.read_csv(done.root / "data/index/nut.csv"), done.params()
    normal = table.path[table.split == "calibration"].tolist()
    split = open_split(done.root / "data/probes/nut.zarr", "probe")
    pairs = zip(kinds_of(split.images), sources_of(split.images), split.masks(), strict=True)
    for number, (kind, row, mask) in enumerate(pairs):
        pixels = image_pixels(done.root / normal[row], params["img_size"], params["resize"], white=None)
        assert (mask == paint(pixels, kind, number % params["probe_images"])[1]).all()


def test_the_same_params_give_the_same_bytes(done, copy):
    """Law 3; measured costs apart, and zarr's own files, whose content the digests in prototypes hold."""
    copy.run(*LEARNING, "prototype")
    for path in (done.root / "data").rglob("*"):
        if path.is_file() and "raw" not in path.parts:
            assert (copy.root / path.relative_to(done.root)).read_bytes() == path.read_bytes(), path
    for name in ("summary", "classes", "baselines", "probe"):
        assert copy.metrics(name) == done.metrics(name)


def test_a_product_scores_the_same_in_a_task_of_two_as_alone_and_a_shared_expert_works_too(done, copy):
    params = copy.params()
    params["classes"]["washer"]["task"] = "t1"
    copy.edit(classes=params["classes"], later_tasks=["t1"])
    copy.run("prototype", *LEARNING)
    for name in PRODUCTS:
        scores = f"data/scores/{name}.h5"
        assert (copy.root / scores).read_bytes() == (done.root / scores).read_bytes()
    parameters = copy.costs()["nut"]["parameters"]

    copy.edit(expert_per="task")
    copy.run(*LEARNING)
    assert [path.name for path in (copy.root / "data/experts/t1").iterdir()] == ["t1.safetensors"]
    assert [path.name for path in (copy.root / "data/experts/t0").iterdir()] == ["t0.safetensors"]
    costs = copy.costs()
    # Normal patches, Gaussians and centers are each product's own, the flow's tensors are shared.
    positions, rank = SMALL["grid"] ** 2, copy.params()["gaussian_rank"]
    # 4 numbers of every kept patch: what the flow and the Gaussians say of its like
    remembered = SMALL["memory_size"] * (40 + 112) + positions * (152 * (rank + 2) + 1) + 4 * SMALL["memory_size"]
    shared = (parameters - remembered) // 2
    assert costs["nut"]["parameters"] == costs["washer"]["parameters"] == shared + remembered
    assert costs["bolt"]["parameters"] == parameters
    assert copy.summary()["image_auroc"] > 0.8


@pytest.mark.parametrize("expert_per", ["class", "task"])
def test_a_task_that_lost_one_of_two_products_is_learned_without_it(copy, expert_per):
    """In the first task nut leaves bolt, in a later one rivet leaves washer."""
    write_product(copy.root / "data/raw/small/rivet", 7)
    params = copy.params()
    params["classes"]["nut"]["task"], params["classes"]["washer"]["task"] = "t0", "t1"
    copy.edit(classes=params["classes"], later_tasks=["t1"], expert_per=expert_per)
    copy.add("rivet", "t1")
    copy.run("check", "index", "extract", "prototype", "base", "train")
    assert served(copy) == {"t0": {"bolt", "nut"}, "t1": {"washer", "rivet"}}
    params = copy.params()
    del params["classes"]["nut"], params["classes"]["rivet"]
    copy.edit(classes=params["classes"])
    copy.run("check", "base", "train")
    assert served(copy) == {"t0": {"bolt"}, "t1": {"washer"}}
    for task, stays in (("t0", "bolt"), ("t1", "washer")):
        assert [path.stem for path in (copy.root / f"data/tasks/{task}").iterdir()] == [stays]
        (expert,) = (copy.root / f"data/experts/{task}").iterdir()
        assert expert.stem == (stays if expert_per == "class" else task)
        assert not [name for name in load_tensors(expert, "expert")[0] if "nut" in name or "rivet" in name]


def served(copy):
    """Per task the products that its experts were learned on."""
    files = {task: list((copy.root / f"data/experts/{task}").iterdir()) for task in ("t0", "t1")}
    return {
        task: set().union(*(load_tensors(file, "expert")[1]["features"] for file in each))
        for task, each in files.items()
    }


def test_rotated_copies_of_the_training_images_are_learned(done, copy):
    """They stand beside the training images; the router and the calibration images see none of them."""
    copy.edit(rotation_degrees=30.0)
    copy.run("check", "extract", "prototype", "base")
    store = copy.root / "data/features/bolt.zarr"
    train, rotated = (open_split(store, group) for group in ("train", "rotated"))
    assert len(rotated.images) == 3 * len(train.images)
    assert rotated.images[0].startswith(train.images[0] + " turned by ")
    assert not torch.equal(rotated.maps()[0][: len(train.images)], train.maps()[0])
    unturned, after = (load_prototype(each.root / "data/tasks/t0/bolt.safetensors", CPU) for each in (done, copy))
    assert torch.equal(after.gaussian.center, unturned.gaussian.center)
    assert after.features_digest != unturned.features_digest


@pytest.mark.parametrize("calibration", ["split", "cross"])
def test_with_suspects_only_calibration_images_are_compared_with(copy, calibration):
    """Training images are screened, and new ones are not."""
    copy.edit(suspects=0.2, calibration=calibration, score="distances", baselines=[])
    copy.run("prototype", *LEARNING)
    found = read_record(copy.root / "data/statistics/nut.h5")
    held_out = len(open_split(copy.root / "data/features/nut.zarr", "calibration").images)
    assert len(found.group("calibration")["fold"]) == held_out
    assert found.group("left_out") == {}
    assert found.group("probe")["source"].max() < held_out
    learned = len(open_split(copy.root / "data/features/nut.zarr", "train").images)
    assert (
        copy.metrics("classes")["nut"]["suspects"] == len(found.attributes["suspects"].split()) == round(0.2 * learned)
    )
    page = (copy.root / "metrics/report/index.html").read_text()
    assert "training images took no part, as suspects: " in page


def test_few_calibration_images_are_crossed_by_themselves(copy):
    """So that every normal image calibrates; but those of the first task, on which the base was learned."""
    copy.edit(calibration="auto", baselines=[])
    copy.run(*LEARNING)
    folds = {
        name: read_record(copy.root / f"data/statistics/{name}.h5").arrays["calibration/fold"] for name in PRODUCTS
    }
    normal = {name: len(fold) for name, fold in folds.items()}
    held_out = len(open_split(copy.root / "data/features/bolt.zarr", "calibration").images)
    assert held_out < FEW
    assert normal["bolt"] == held_out
    assert normal["nut"] > 2 * held_out
    assert [int(fold.max()) for fold in folds.values()] == [0, 1, 1]


def test_cross_calibration_in_another_order(copy):
    """washer comes first; every later task learns a density per fold; no baselines, no harmless changes."""
    changes = {"calibration": "cross", "first_task": "t2", "later_tasks": ["t0", "t1"], "baselines": []}
    copy.edit(**changes, probe_perturbations=[])
    copy.run("probe", *LEARNING)
    assert copy.summary()["image_auroc"] > 0.8
    assert list(copy.metrics("classes")) == ["washer", "bolt", "nut"]
    assert copy.metrics("baselines") == {}
    costs = copy.costs()
    assert costs["nut"]["parameters"] == 2 * costs["washer"]["parameters"]  # the first task always splits
    found = read_record(copy.root / "data/statistics/nut.h5")
    learned, held_out = (len(open_split(copy.root / "data/features/nut.zarr", split).images) for split in NORMAL[::2])
    assert len(found.group("calibration")["fold"]) == learned + held_out
    sources = found.group("probe")["source"]
    assert learned <= sources.min() <= sources.max() < learned + held_out
    assert found.group("left_out") == {}  # every normal image is judged by a density that did not see it
    assert len(found.group("perturbed")["fold"]) == 0
