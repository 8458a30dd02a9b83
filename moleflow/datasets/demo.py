"""Real products without a download, written in the MVTec layout.

`elpv_poly` and `elpv_mono` are electroluminescence photographs of solar cells from the package
`elpv-dataset` (Buerhop-Lutz et al., 2018): real defects, no masks. `brick`, `grass` and `gravel`
are the photographs that scikit-image ships, cut into 16 tiles each: training crops come from 12 of
them, test crops from the other 4, and the defects are painted, so that their masks are exact. `narrow` are crops of
its photograph of a cameraman, for the scenario dev alone; `retina`, `hubble` and `motorcycle` are large crops with
defects that are small beside them, for the scenario large.
"""

import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage import data, draw
from skimage.color import rgb2gray

from moleflow.config.registry import choose

_ELPV_TRAIN, _ELPV_GOOD, _ELPV_DEFECTIVE = 320, 100, 100
# Among the first 900 cells, most monocrystalline ones are defective and of a module type that hardly
# any good one shares: a detector could score well by telling the module types apart.
_ELPV_FIRST = 900
_TEXTURE_TRAIN, _TEXTURE_GOOD, _TEXTURE_PER_DEFECT = 160, 40, 15
_TILE, _CROP = 128, 96  # pixels
# Rows and columns of the test tiles: every row and column of the photograph has one, so that its
# uneven light and perspective are in both. Normal test crops still score a little higher than calibration
# images, which come from the training tiles.
_TEST_TILES = [(0, 1), (1, 3), (2, 0), (3, 2)]
_TRAIN_TILES = [(row, column) for row in range(4) for column in range(4) if (row, column) not in _TEST_TILES]

# A narrow product: crops of one photograph that overlap almost wholly. Its test crops lie a little further and are
# darker, as those of a later session; the router must not take them for another product's.
_NARROW_STEP, _NARROW_SIDE, _NARROW_START = 2, 10, 60  # pixels, crops per side, pixels
_LATER_SHIFT, _LATER_SIDE, _LATER_LIGHT = 40, 6, 0.9

# Large products: crops of one photograph whose corners are drawn at random, so that they overlap: 640 pixels hold 4
# independent crops of retina (1411 pixels a side), 1 of hubble (872×1000), 448 hold 1 of each of motorcycle's two
# views (500×741). They show what a view resolves, and nothing of how normal images of another day differ.
_LARGE_TRAIN, _LARGE_GOOD, _LARGE_PER_DEFECT = 60, 20, 5
_LARGE = {"retina": ([data.retina], 640), "hubble": ([data.hubble_deep_field], 640)}
_LARGE["motorcycle"] = ([lambda: data.stereo_motorcycle()[0], lambda: data.stereo_motorcycle()[1]], 448)

_TEXTURES = {"brick": data.brick, "grass": data.grass, "gravel": data.gravel}


def write_demo(root: Path) -> None:
    """Writes every demo product below `root` as <product>/train/good, test/<defect>, ground_truth.

    Args:
        root: folder that does not exist yet.
    """
    _write_cells(root)
    for number, name in enumerate(_TEXTURES):
        _write_texture(root / name, name, np.random.default_rng([0, 2 + number]))
    _write_narrow(root / "narrow", np.random.default_rng([0, 5]))
    for number, name in enumerate(_LARGE):
        _write_large(root / name, name, np.random.default_rng([0, 6 + number]))


def _save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, compress_level=1)  # three times as fast as Pillow's 6, an eighth larger


def _write_cells(root: Path) -> None:
    """Good cells (probability 0) and surely defective ones (probability 1) of both wafer types."""
    source = Path(str(files("elpv_dataset"))) / "data"
    cells = pd.read_csv(source / "labels.csv", sep=r"\s+", names=["path", "probability", "wafer"])[_ELPV_FIRST:]
    for number, wafer in enumerate(("poly", "mono")):
        rng = np.random.default_rng([0, number])
        of_wafer = cells[cells.wafer == wafer]
        good = rng.permutation(of_wafer[of_wafer.probability == 0].path)
        defective = rng.permutation(of_wafer[of_wafer.probability == 1].path)
        parts = {
            "train/good": good[:_ELPV_TRAIN],
            "test/good": good[_ELPV_TRAIN : _ELPV_TRAIN + _ELPV_GOOD],
            "test/defective": defective[:_ELPV_DEFECTIVE],
        }
        for part, chosen in parts.items():
            folder = root / f"elpv_{wafer}" / part
            folder.mkdir(parents=True)
            for path in chosen:
                shutil.copyfile(source / path, folder / Path(path).name)


def _write_texture(folder: Path, name: str, rng: np.random.Generator) -> None:
    photograph = choose(_TEXTURES, name, "texture")()
    foreign = data.gravel() if name == "brick" else data.brick()
    for number in range(_TEXTURE_TRAIN):
        _save(folder / f"train/good/{number:03d}.png", _crop(photograph, _TRAIN_TILES, rng))
    for number in range(_TEXTURE_GOOD):
        _save(folder / f"test/good/{number:03d}.png", _crop(photograph, _TEST_TILES, rng))
    for defect, paint in _DEFECTS.items():
        for number in range(_TEXTURE_PER_DEFECT):
            good = _crop(photograph, _TEST_TILES, rng)
            image, mask = paint(good, _crop(foreign, _TRAIN_TILES, rng), rng)
            _save(folder / f"test/{defect}/{number:03d}.png", image)
            _save(folder / f"ground_truth/{defect}/{number:03d}_mask.png", mask)


def _write_narrow(folder: Path, rng: np.random.Generator) -> None:
    photograph, foreign = data.camera(), data.brick()[:_CROP, :_CROP]

    def crops(start: int, side: int) -> list[np.ndarray]:
        corners = [start + _NARROW_STEP * step for step in range(side)]
        return [photograph[row : row + _CROP, column : column + _CROP] for row in corners for column in corners]

    later = [(_LATER_LIGHT * crop).astype(np.uint8) for crop in crops(_NARROW_START + _LATER_SHIFT, _LATER_SIDE)]
    for number, crop in enumerate(crops(_NARROW_START, _NARROW_SIDE)):
        _save(folder / f"train/good/{number:03d}.png", crop)
    for number, crop in enumerate(later):
        _save(folder / f"test/good/{number:03d}.png", crop)
        defect = list(_DEFECTS)[number % len(_DEFECTS)]
        image, mask = _DEFECTS[defect](crop, foreign, rng)
        _save(folder / f"test/{defect}/{number:03d}.png", image)
        _save(folder / f"ground_truth/{defect}/{number:03d}_mask.png", mask)


def _write_large(folder: Path, name: str, rng: np.random.Generator) -> None:
    views, side = _LARGE[name]
    photographs = [np.rint(255 * rgb2gray(view())).astype(np.uint8) for view in views]
    foreign = np.pad(data.brick(), (0, max(0, side - 512)), mode="reflect")[:side, :side]

    def crop() -> np.ndarray:
        photograph = photographs[rng.integers(len(photographs))]
        row, column = (rng.integers(0, length - side + 1) for length in photograph.shape)
        return np.clip(photograph[row : row + side, column : column + side] * rng.uniform(0.95, 1.05), 0, 255)

    for split, count in (("train", _LARGE_TRAIN), ("test", _LARGE_GOOD)):
        for number in range(count):
            _save(folder / f"{split}/good/{number:03d}.png", crop().astype(np.uint8))
    for defect, paint in _DEFECTS.items():
        for number in range(_LARGE_PER_DEFECT):
            image, mask = paint(crop(), foreign, rng)
            _save(folder / f"test/{defect}/{number:03d}.png", image)
            _save(folder / f"ground_truth/{defect}/{number:03d}_mask.png", mask)


def _crop(photograph: np.ndarray, tiles: list[tuple[int, int]], rng: np.random.Generator) -> np.ndarray:
    """A random square inside one of the tiles, mirrored at random, its brightness changed by up to 5 %."""
    row, column = np.array(tiles[rng.integers(len(tiles))]) * _TILE + rng.integers(0, _TILE - _CROP + 1, 2)
    crop = photograph[row : row + _CROP, column : column + _CROP] * rng.uniform(0.95, 1.05)
    turned = crop[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    return np.clip(turned, 0, 255).astype(np.uint8)


# Each painter takes a good image, a crop of a foreign texture (both (H, W) uint8) and a generator,
# and returns the defective image and its mask (255 where a pixel was painted).


def _scratch(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A curved line, 40 to 70 pixels long and 3 to 5 wide, much brighter or much darker than its surroundings."""
    size = image.shape[0]
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.35) * size
    reach = length * np.array([np.sin(angle), np.cos(angle)])
    middle, bend = rng.uniform(0.4, 0.6, (2, 2)) * size
    start, end = middle - reach, middle + reach
    steps = np.linspace(0, 1, 4 * size)[:, None]
    curve = (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * bend + steps**2 * end
    region = np.zeros(image.shape, bool)
    for row, column in curve:
        region[draw.disk((row, column), rng.uniform(1.5, 2.5), shape=image.shape)] = True
    return _blend(image, np.full(image.shape, rng.choice([20.0, 235.0])), region, 0.9)


def _blob(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An irregular patch of a foreign texture."""
    return _blend(image, foreign.astype(float), _irregular(image.shape, rng), 1.0)


def _cut_paste(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A piece of the image itself, turned by 30 to 60 degrees and magnified threefold, set elsewhere."""
    angle, size = np.deg2rad(rng.uniform(30, 60)), image.shape[0]
    rows, columns = np.mgrid[:size, :size] - size / 2
    turned = [np.cos(angle) * rows - np.sin(angle) * columns, np.sin(angle) * rows + np.cos(angle) * columns]
    pasted = map_coordinates(image.astype(float), np.array(turned) / 3 + size / 2, order=1, mode="reflect")
    return _blend(image, pasted, _irregular(image.shape, rng), 1.0)


def _stain(image: np.ndarray, foreign: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A dark, washed-out spot."""
    washed = 0.45 * gaussian_filter(image.astype(float), 3)
    return _blend(image, washed, _irregular(image.shape, rng), 0.85)


_DEFECTS = {"scratch": _scratch, "blob": _blob, "cut_paste": _cut_paste, "stain": _stain}


def _irregular(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A rounded region of 12 to 18 pixels radius, its outline made uneven by smooth noise."""
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    outline = gaussian_filter(rng.normal(size=90), 6, mode="wrap")
    radii = rng.uniform(12, 18) * (1 + 0.5 * outline / np.abs(outline).max())
    row, column = rng.uniform(0.25, 0.75, 2) * shape[0]
    region = np.zeros(shape, bool)
    region[draw.polygon(row + radii * np.sin(angles), column + radii * np.cos(angles), shape=shape)] = True
    return region


def _blend(image: np.ndarray, paint: np.ndarray, region: np.ndarray, opacity: float) -> tuple[np.ndarray, np.ndarray]:
    mixed = np.where(region, (1 - opacity) * image + opacity * paint, image)
    return np.clip(mixed, 0, 255).astype(np.uint8), np.where(region, 255, 0).astype(np.uint8)
