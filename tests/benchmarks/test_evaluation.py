"""Evaluation: all metrics of a class, beside scikit-learn and AUPRO threshold by threshold; one thread."""

import resource

import numpy as np
import pytest
import torch
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, roc_auc_score

from moleflow.evaluation.metrics import alarm_metrics, pixel_ranking, ranking
from moleflow.scoring.maps import anomaly_maps


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    regions = [(image, labeled == number) for image, (labeled, count) in
               enumerate(label(mask, np.ones((3, 3))) for mask in masks) for number in range(1, count + 1)]  # fmt: skip
    fallout = np.linspace(0, 0.3, 301)
    thresholds = np.quantile(maps[~masks], 1 - fallout)
    overlap = [np.mean([(maps[image][region] >= each).mean() for image, region in regions]) for each in thresholds]
    return auroc, ap, np.trapezoid(overlap, fallout) / 0.3


@pytest.mark.benchmark(group="evaluation: all metrics of 160 images of 256×256, one thread")
@pytest.mark.parametrize("way", ["moleflow", "direct"])
def test_evaluation_of_a_class(benchmark, way):
    scores, masks = synthetic_class(160)
    pixel, _, _, maps = all_metrics(scores, masks)
    if way == "moleflow":
        benchmark.pedantic(all_metrics, (scores, masks), rounds=3)
    else:
        auroc, ap, aupro = benchmark.pedantic(direct_metrics, (masks, maps), rounds=1)
        assert (pixel.auroc, pixel.ap) == pytest.approx((auroc, ap), abs=1e-6)
        assert pixel.aupro == pytest.approx(aupro, abs=1e-3)


@pytest.mark.benchmark(group="evaluation: 15 classes, 1,725 images of 256×256, one thread")
@pytest.mark.parametrize("way", ["moleflow"])
def test_evaluation_of_all_of_mvtec(benchmark, way):

    def run():
        for seed in range(15):
            all_metrics(*synthetic_class(115, seed))

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info["peak GB of the process"] = round(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
    )
