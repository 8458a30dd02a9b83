"""Fixtures that several test files share."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from projects import ROOT, Clone
from samples import ORIGIN, density_arguments, save_image

from moleflow.files.feature_store import Origin, Split, open_split, write_split
from moleflow.flow.density import Density

# Tests run on all cores at once, and threads that wait for each other take seven times as long.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files that run DVC first: they take longest, and whoever ends last should not have begun with one."""
    slow = {item.path for item in items if item.get_closest_marker("dvc")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def make_density() -> Callable[..., Density]:
    """A small density; keywords replace arguments or settings."""

    def make(**changes) -> Density:
        return Density(**density_arguments(**changes))

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


@pytest.fixture
def products(make_split) -> list[Split]:
    """Two products whose layer maps differ in level."""
    generator = torch.Generator().manual_seed(0)

    def maps(level, count):
        return [
            level + torch.randn((count, channels, side, side), generator=generator)
            for channels, side in ((6, 8), (10, 4))
        ]

    return [make_split(maps=maps(level, 24), name=f"p{level}") for level in (0, 2)]


@pytest.fixture
def params(tmp_path) -> Path:
    """A copy of params.yaml to change."""
    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
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
    """A clone whose pipeline ran once, in process, and was committed to DVC and Git."""
    clone = Clone.of_small_products(tmp_path_factory.mktemp("clone"))
    clone.run()
    clone.dvc("commit", "-f", "--with-deps", "report")
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
