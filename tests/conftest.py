"""Fixtures that several test files share."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from clones import Clone
from PIL import Image

from moleflow.flow.density import Density
from moleflow.store import Origin, Split, open_split, write_split

ORIGIN = Origin("some_backbone.tag", "0" * 64, [1, 2], 32, "stretch")


@pytest.fixture
def make_density() -> Callable[..., Density]:
    """A small density; keywords replace arguments."""

    def make(**changes) -> Density:
        arguments = {
            "channels": 8,
            "couplings": 3,
            "clamp": 1.9,
            "position": "sincos",
            "spatial_mixer": "mixer",
            "scale_context_kernel": 3,
            "alignment": "whitening",
            "lora_rank": 2,
            "lora_alpha": 2.0,
            "dia_blocks": 2,
            "first": True,
            "seed": 0,
        }
        return Density(**{**arguments, **changes})

    return make


@pytest.fixture
def make_split(tmp_path) -> Callable[..., Split]:
    """A stored split with random maps of two layers, or with given ones."""

    def make(
        count: int = 20, origin: Origin = ORIGIN, maps: list[torch.Tensor] | None = None, name: str = "s"
    ) -> Split:
        generator = torch.Generator().manual_seed(0)
        shapes = [(count, 6, 8, 8), (count, 10, 4, 4)]
        maps = maps or [torch.randn(shape, generator=generator) for shape in shapes]
        images = [f"{row:03d}.png" for row in range(len(maps[0]))]
        write_split(tmp_path / f"{name}.zarr" / "train", origin, images, [maps])
        return open_split(tmp_path / f"{name}.zarr", "train")

    return make


def save_image(path: Path, size: tuple[int, int] = (20, 16), seed: int = 0) -> Path:
    """Writes a random grey picture; another seed is another picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, size[::-1], dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def product(tmp_path) -> Path:
    """A sound product in the MVTec layout: 10 training images, 3 good and 3 defective ones with masks."""
    root = tmp_path / "bolt"
    for number in range(10):
        save_image(root / f"train/good/{number}.png", seed=number)
    for number in range(3):
        save_image(root / f"test/good/{number}.png", seed=100 + number)
        save_image(root / f"test/dent/{number}.png", seed=200 + number)
        mask = save_image(root / f"ground_truth/dent/{number}_mask.png")
        Image.new("L", (20, 16), 255).save(mask)
    return root


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Clone:
    """A clone whose pipeline ran once and was committed."""
    clone = Clone.of_small_products(tmp_path_factory.mktemp("clone"))
    clone.repro()
    clone.commit()
    return clone


@pytest.fixture
def done(original) -> Iterator[Clone]:
    """The same, to read from: a test that changes it fails, and takes a `copy`."""
    before = original.files()
    yield original
    assert {path for path, _ in before.items() ^ original.files().items()} == set(), "the shared clone changed"


@pytest.fixture
def copy(done, tmp_path) -> Iterator[Clone]:
    """A copy of `done` to change."""
    yield done.copy(tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy")  # 100 MB
