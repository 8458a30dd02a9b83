"""No leftovers: what params.yaml does not list leaves the folders that a stage takes whole."""

import pytest

from moleflow.files.order import Order
from moleflow.files.paths import Paths
from moleflow.files.tidying import tidy, tidy_task

ORDER = Order(["t0", "t1"], {"bolt": "t0", "nut": "t1", "größe": "t1"})


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path)


def per_product(paths):
    """Folders with a file of every product."""
    return [paths.index, paths.features, paths.probes, paths.statistics, paths.scores, paths.scorers]


def folders(paths):
    return [*per_product(paths), paths.tasks, paths.experts, paths.curves, paths.baselines]


@pytest.fixture
def data(paths):
    """All that a run leaves, and a stray of each kind beside it."""
    listed = [folder.of(name) for folder in per_product(paths) for name in ORDER.products]
    listed += [paths.prototype_of(name, task) for name, task in ORDER.products.items()]
    listed += [paths.base, paths.experts / "t0/bolt.safetensors", paths.experts / "t1/t1.safetensors"]
    listed += [paths.curves / "t0/base.csv", paths.curves / "t1/nut.csv"]
    listed += [paths.baselines.of("knn"), paths.baselines.path / "README.md"]
    strays = [folder.of("gone") for folder in per_product(paths)]
    strays += [paths.prototype_of("gone", "t1"), paths.prototype_of("nut", "t0"), paths.prototype_of("nut", "t9")]
    strays += [paths.experts / "t9/x.safetensors", paths.curves / "t9/x.csv", paths.baselines.of("pca")]
    strays += [
        paths.tasks / "t1/.hidden",
        paths.features.path / "notes.txt",
        paths.features.of("old") / "train/zarr.json",
    ]
    for path in listed + strays:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return listed, strays


def test_strays_go_and_nothing_else(paths, data, capsys):
    listed, strays = data
    tidy(paths, ORDER, *folders(paths), baselines=["knn"])
    assert all(path.exists() for path in listed)
    assert not any(path.exists() for path in strays)
    assert capsys.readouterr().out.count("belongs to nothing that params.yaml lists: deleted") == len(strays)
    tidy(paths, ORDER, *folders(paths), baselines=["knn"])
    assert capsys.readouterr().out == ""


def test_a_stage_tidies_the_folders_that_it_takes_alone(paths, data):
    _, strays = data
    tidy_task(paths, "t1", ORDER.of_task("t1"))
    assert not paths.prototype_of("gone", "t1").exists()
    assert [path for path in strays if not path.exists()] == [paths.prototype_of("gone", "t1"), strays[-3]]


def test_a_link_is_removed_and_what_it_points_to_stays(paths, data, tmp_path):
    elsewhere = tmp_path / "cache"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    paths.features.of("linked").symlink_to(elsewhere)
    paths.features.of("broken").symlink_to(tmp_path / "nothing")
    tidy(paths, ORDER, paths.features)
    assert (elsewhere / "file").exists()
    assert not paths.features.of("linked").is_symlink()
    assert not paths.features.of("broken").is_symlink()


def test_a_folder_that_is_not_there_is_no_trouble(paths):
    tidy(paths, ORDER, *folders(paths))
