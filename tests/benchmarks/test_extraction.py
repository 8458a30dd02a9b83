"""Extraction beside the bare backbone, the store beside h5py and a memory map, an answer beside one backbone pass."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from samples import CPU, prototype_with
from tqdm import tqdm

from moleflow.backbones.backbone import Backbone, timm
from moleflow.backbones.extraction import extract
from moleflow.files.feature_store import SHARD, Origin, open_split, write_split
from moleflow.images.reading import image_pixels
from moleflow.routing.routers import Neighbors

PATCHING = {"neighborhood": 3, "embed_dim": 176, "grid": 28, "layer_merge": "concat"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(64):
        Image.fromarray(rng.integers(0, 255, (300, 300), dtype=np.uint8)).save(folder / f"{number}.png")
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def lite0():
    return Backbone("tf_efficientnet_lite0.in1k", [1, 2, 3], "package", img_size=224, device=CPU)


@pytest.fixture(scope="module")
def timms():
    """The same backbone as timm makes it."""
    return timm.create_model("tf_efficientnet_lite0.in1k", features_only=True, out_indices=[1, 2, 3]).eval()


@pytest.mark.benchmark(group="extraction of 64 images")
@pytest.mark.parametrize(
    "way", ["moleflow", "timm's model alone", "the same in batches of 4", "moleflow's model alone"]
)
def test_extraction(benchmark, lite0, timms, images, way):
    """The baselines decode nothing: their batches lie ready."""

    def moleflow():
        with tqdm(disable=True) as bar:
            return list(
                extract(lite0, images, lambda path: image_pixels(Path(path), 224, "stretch", white=None), bar=bar)
            )

    def alone(model, batch):
        with torch.inference_mode():
            return [model(batch) for _ in range(64 // len(batch))]

    batch = torch.rand(16, 3, 224, 224)
    ways = {
        "moleflow": moleflow,
        "timm's model alone": lambda: alone(timms, batch),
        "the same in batches of 4": lambda: alone(timms, batch[:4]),
        "moleflow's model alone": lambda: alone(lite0, 255 * batch[:4]),
    }
    benchmark.pedantic(ways[way], rounds=7, warmup_rounds=1)


@pytest.fixture(scope="module")
def maps():
    generator = torch.Generator().manual_seed(0)
    shapes = (24, 56, 56), (40, 28, 28), (112, 14, 14)
    return [torch.randn(256, *shape, generator=generator).half() for shape in shapes]


ORIGIN = Origin("synthetic", "0" * 64, [1, 2, 3], 224, "stretch")


def write_store(folder, maps):
    batches = ([layer[row : row + 16] for layer in maps] for row in range(0, 256, 16))
    write_split(folder / "train", ORIGIN, [str(row) for row in range(256)], batches)


def write_h5py(folder, maps):
    folder.mkdir()
    with h5py.File(folder / "maps.h5", "w") as file:
        for number, layer in enumerate(maps):
            rows = file.create_dataset(str(number), layer.shape, "f2")
            for row in range(0, 256, 16):
                rows[row : row + 16] = layer[row : row + 16].numpy()


def write_memmap(folder, maps):
    folder.mkdir()
    for number, layer in enumerate(maps):
        rows = np.lib.format.open_memmap(folder / f"{number}.npy", "w+", "f2", tuple(layer.shape))
        for row in range(0, 256, 16):
            rows[row : row + 16] = layer[row : row + 16].numpy()
        rows.flush()


def read_store(folder):
    return [[layer.sum() for layer in batch] for batch in open_split(folder, "train").batches()]


def read_h5py(folder):
    with h5py.File(folder / "maps.h5") as file:
        return [
            [torch.from_numpy(file[str(number)][row : row + SHARD]).sum() for number in range(3)]
            for row in range(0, 256, SHARD)
        ]


def read_memmap(folder):
    layers = [np.load(folder / f"{number}.npy", mmap_mode="r") for number in range(3)]
    return [
        [torch.from_numpy(layer[row : row + SHARD].copy()).sum() for layer in layers] for row in range(0, 256, SHARD)
    ]


STORES = {
    "moleflow": (write_store, read_store),
    "h5py": (write_h5py, read_h5py),
    "memory map": (write_memmap, read_memmap),
}


@pytest.mark.benchmark(group="writing 256 images' features, 66 MB")
@pytest.mark.parametrize("way", STORES)
def test_writing(benchmark, maps, tmp_path, way):
    rounds = iter(range(100))
    benchmark.pedantic(lambda: STORES[way][0](tmp_path / str(next(rounds)), maps), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="reading and summing 256 images' features, 66 MB")
@pytest.mark.parametrize("way", STORES)
def test_reading(benchmark, maps, tmp_path, way):
    write, read = STORES[way]
    write(tmp_path / "store", maps)
    benchmark.pedantic(lambda: read(tmp_path / "store"), rounds=7, warmup_rounds=1)


@pytest.mark.benchmark(group="routing 16 images by the distance to every prototype")
@pytest.mark.parametrize("prototypes", [10, 100, 1000])
def test_router(benchmark, prototypes):
    images = torch.randn(256, 112, generator=torch.Generator().manual_seed(0))
    one = prototype_with(images, 32)
    known = [replace(one, images=images + number) for number in range(prototypes)]
    embedded = torch.randn(16, 112)

    distances = Neighbors(known)
    benchmark.pedantic(lambda: distances(embedded, None).argmin(1), rounds=10, warmup_rounds=2)
