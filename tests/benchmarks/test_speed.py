"""Speed side by side in one run: `make bench` prints, per group, how many times slower each row is than the best."""

import resource
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from moleflow.backbones import Backbone
from moleflow.datasets.images import image_pixels
from moleflow.extraction import extract
from moleflow.flow.density import Density, base_parameters, expert_state
from moleflow.metrics import alarm_metrics, pixel_ranking, ranking
from moleflow.scoring import anomaly_maps
from moleflow.training import PRECISIONS, Recipe, train

ARGUMENTS = {
    "channels": 152, "couplings": 6, "clamp": 1.9, "position": "sincos", "spatial_mixer": "mixer",
    "scale_context_kernel": 5, "alignment": "whitening", "lora_rank": 64, "lora_alpha": 64.0, "dia_blocks": 2,
    "first": True, "seed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(64):
        Image.fromarray(rng.integers(0, 255, (300, 300), dtype=np.uint8)).save(folder / f"{number}.png")
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def lite0():
    return Backbone("tf_efficientnet_lite0.in1k", [2, 3], "package", img_size=224, device="cpu")


@pytest.mark.benchmark(group="extraction of 64 images")
def test_bare_backbone(benchmark, lite0):
    batch = torch.rand(16, 3, 224, 224) * 255
    benchmark.pedantic(lambda: [lite0(batch) for _ in range(4)], rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="extraction of 64 images")
def test_extraction_with_decoding(benchmark, lite0, images):
    def read(path):
        return image_pixels(Path(path), 224, "stretch")

    def run():
        with tqdm(disable=True) as bar:
            return list(extract(lite0, images, read, batch_size=16, bar=bar))

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)


def bare_steps(dtype, features):
    """Forward, loss and backward of the flow, and nothing else."""
    density = Density(**ARGUMENTS)
    for batch in features.float().split(16):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            judged = density(batch)
        judged.nll.mean().backward()


def trained_steps(dtype, features):
    """The same batches through `train`."""
    density = Density(**ARGUMENTS)
    expert = expert_state(density)
    recipe = Recipe(1, 0.0, 1e-3, 16, 1.0, dtype, 0.7, 0.02, 1e-4, 0)
    trained = [*base_parameters(density), *expert.values()]
    train(density, {"x": expert}, {"x": features}, trained, recipe, label="x")


@pytest.mark.benchmark(group="training on 64 images of 28×28×152")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("steps", [bare_steps, trained_steps])
def test_training(benchmark, steps, precision):
    features = torch.randn(64, 28, 28, 152).half()
    benchmark.pedantic(partial(steps, PRECISIONS[precision], features), rounds=3, warmup_rounds=1)


def synthetic_class(count, seed=0):
    """Patch scores 32×32 and masks 256×256 of a class, one image in three without a defect."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(count, 32, 32)).astype(np.float32)
    masks = np.zeros((count, 256, 256), bool)
    for image in range(count):
        for _ in range(image % 3):
            (row, column), (height, width) = rng.integers(0, 190, 2), rng.integers(6, 60, 2)
            masks[image, row : row + height, column : column + width] = True
            patch = np.s_[image, row // 8 : (row + height) // 8 + 1, column // 8 : (column + width) // 8 + 1]
            scores[patch] += 1.5
    return scores, masks


def all_metrics(scores, masks):
    """What evaluate computes of one class: maps, pixel metrics, image metrics."""
    labels, image_scores = masks.any((1, 2)), np.sort(scores.reshape(len(scores), -1))[:, -3:].mean(1)
    maps = anomaly_maps(scores, size=256, sigma=4.0)
    return pixel_ranking(masks, maps), ranking(labels, image_scores), alarm_metrics(labels, image_scores > 2), maps


def direct_metrics(masks, maps):
    """scikit-learn's AUROC and AP, and AUPRO threshold by threshold at 300 false-positive rates up to 0.3."""
    auroc, ap = roc_auc_score(masks.ravel(), maps.ravel()), average_precision_score(masks.ravel(), maps.ravel())
    regions = [(image, labelled == number) for image, (labelled, count) in
               enumerate(label(mask, np.ones((3, 3))) for mask in masks) for number in range(1, count + 1)]  # fmt: skip
    fallout = np.linspace(0, 0.3, 301)
    thresholds = np.quantile(maps[~masks], 1 - fallout)
    overlap = [np.mean([(maps[image][region] >= each).mean() for image, region in regions]) for each in thresholds]
    return auroc, ap, np.trapezoid(overlap, fallout) / 0.3


@pytest.mark.benchmark(group="all metrics of a class of 160 images of 256×256, one thread")
@pytest.mark.parametrize("way", ["moleflow", "direct"])
def test_evaluation_of_a_class(benchmark, way):
    torch.set_num_threads(1)
    scores, masks = synthetic_class(160)
    pixel, _, _, maps = all_metrics(scores, masks)
    if way == "moleflow":
        benchmark.pedantic(all_metrics, (scores, masks), rounds=3)
    else:
        auroc, ap, aupro = benchmark.pedantic(direct_metrics, (masks, maps), rounds=1)
        assert (pixel.auroc, pixel.ap) == pytest.approx((auroc, ap), abs=1e-6)
        assert pixel.aupro == pytest.approx(aupro, abs=1e-3)
    torch.set_num_threads(2)


@pytest.mark.benchmark(group="all metrics of 15 classes, 1,725 images of 256×256, one thread")
def test_evaluation_of_all_of_mvtec(benchmark):
    torch.set_num_threads(1)

    def run():
        for seed in range(15):
            all_metrics(*synthetic_class(115, seed))

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info["peak GB of the process"] = round(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
    )
    torch.set_num_threads(2)
