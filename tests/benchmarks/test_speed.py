"""Speed side by side in one run: `make bench` prints, per group, how many times slower each row is than the best."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from moleflow.backbones import Backbone
from moleflow.datasets.images import image_pixels
from moleflow.extraction import extract
from moleflow.flow.density import Density, base_parameters, expert_state
from moleflow.metrics import ranking
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
    return Backbone("tf_efficientnet_lite0.in1k", [2, 3], "package")


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
    recipe = Recipe(1, 0.0, 1e-3, 16, dtype, 0.7, 0.02, 1e-4, 0)
    trained = [*base_parameters(density), *expert.values()]
    train(density, {"x": expert}, {"x": features}, trained, recipe, label="x")


@pytest.mark.benchmark(group="training on 64 images of 28×28×152")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("steps", [bare_steps, trained_steps])
def test_training(benchmark, steps, precision):
    features = torch.randn(64, 28, 28, 152).half()
    benchmark.pedantic(partial(steps, PRECISIONS[precision], features), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="AUROC and AP of 100 maps of 224×224")
@pytest.mark.parametrize("library", ["moleflow", "scikit-learn"])
def test_pixel_ranking(benchmark, library):
    rng = np.random.default_rng(0)
    labels = rng.random(100 * 224 * 224) < 0.02
    scores = (rng.normal(size=labels.shape) + labels).astype(np.float32)
    functions = {
        "moleflow": lambda: ranking(labels, scores),
        "scikit-learn": lambda: (roc_auc_score(labels, scores), average_precision_score(labels, scores)),
    }
    benchmark.pedantic(functions[library], rounds=3)
