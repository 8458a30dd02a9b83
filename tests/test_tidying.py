"""No leftovers: what params.yaml does not list leaves the folders that a stage takes whole."""

import pytest

from moleflow import paths
from moleflow.order import Order
from moleflow.tidying import SUFFIXES, tidy, tidy_task

ORDER = Order(["t0", "t1"], {"bolt": "t0", "nut": "t1", "größe": "t1"})


@pytest.fixture
def data(tmp_path, monkeypatch):
    """All that a run leaves, and a stray of each kind beside it."""
    monkeypatch.chdir(tmp_path)
    listed = [folder / f"{name}{suffix}" for folder, suffix in SUFFIXES.items() for name in ORDER.products]
    listed += [paths.prototype_path(name, task) for name, task in ORDER.products.items()]
    listed += [paths.BASE, paths.EXPERTS / "t0/bolt.safetensors", paths.EXPERTS / "t1/t1.safetensors"]
    listed += [paths.CURVES / "t0/base.csv", paths.CURVES / "t1/nut.csv"]
    listed += [paths.BASELINES / "knn.h5", paths.BASELINES / "README.md"]
    strays = [folder / f"gone{suffix}" for folder, suffix in SUFFIXES.items()]
    strays += [paths.prototype_path("gone", "t1"), paths.prototype_path("nut", "t0"), paths.prototype_path("nut", "t9")]
    strays += [paths.EXPERTS / "t9/x.safetensors", paths.CURVES / "t9/x.csv", paths.BASELINES / "pca.h5"]
    strays += [paths.TASKS / "t1/.hidden", paths.FEATURES / "notes.txt", paths.FEATURES / "old.zarr/train/zarr.json"]
    for path in listed + strays:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return listed, strays


FOLDERS = [*SUFFIXES, paths.TASKS, paths.EXPERTS, paths.CURVES, paths.BASELINES]


def test_strays_go_and_nothing_else(data, capsys):
    listed, strays = data
    tidy(ORDER, *FOLDERS, baselines=["knn"])
    assert all(path.exists() for path in listed)
    assert not any(path.exists() for path in strays)
    assert capsys.readouterr().out.count("belongs to nothing that params.yaml lists: deleted") == len(strays)
    tidy(ORDER, *FOLDERS, baselines=["knn"])
    assert capsys.readouterr().out == ""


def test_a_stage_tidies_the_folders_that_it_takes_alone(data):
    _, strays = data
    tidy_task("t1", ORDER.of_task("t1"))
    assert not paths.prototype_path("gone", "t1").exists()
    assert [path for path in strays if not path.exists()] == [paths.prototype_path("gone", "t1"), strays[-3]]


def test_a_link_is_removed_and_what_it_points_to_stays(data, tmp_path):
    elsewhere = tmp_path / "cache"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (paths.FEATURES / "linked.zarr").symlink_to(elsewhere)
    (paths.FEATURES / "broken.zarr").symlink_to(tmp_path / "nothing")
    tidy(ORDER, paths.FEATURES)
    assert (elsewhere / "file").exists()
    assert not (paths.FEATURES / "linked.zarr").is_symlink()
    assert not (paths.FEATURES / "broken.zarr").is_symlink()


def test_a_folder_that_is_not_there_is_no_trouble(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tidy(ORDER, *FOLDERS)
