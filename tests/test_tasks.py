"""What learning a task is given: its own products' normal images, and nothing that lies beside them."""

import pytest

from moleflow import paths
from moleflow.artifacts import ArtifactError
from moleflow.prototypes import build_prototype, save_prototype
from moleflow.store import NORMAL, StoreError, write_split
from moleflow.tasks import load_task, normal_features

PATCHING = {"neighbourhood": 1, "embed_dim": 16, "grid": 4, "layer_merge": "concat"}


@pytest.fixture
def bolt(make_split, tmp_path, monkeypatch):
    """A product in task t0, its stores and its prototype where the stages have them."""
    monkeypatch.chdir(tmp_path)
    split = make_split(count=6)
    for name in (*NORMAL, "test"):
        write_split(paths.FEATURES / "bolt.zarr" / name, split.origin, split.images, [split.maps()])
    prototype = build_prototype(split, split, split, patching=PATCHING, standardize="product", router_rank=4)
    save_prototype(paths.prototype_path("bolt", "t0"), prototype)
    (paths.CHECK / "tasks").mkdir(parents=True)
    (paths.CHECK / "tasks/t0").write_text("bolt\n")
    return prototype


def test_learning_is_given_no_test_image(bolt):
    assert len(normal_features("bolt", bolt, *NORMAL)) == 18
    for splits in (("test",), ("train", "test"), ("probe",)):
        with pytest.raises(StoreError, match=r"bolt: (test|probe) images are not for learning"):
            normal_features("bolt", bolt, *splits)


def test_a_task_holds_its_listed_products_alone(bolt):
    stray = paths.prototype_path("nut", "t0")
    save_prototype(stray, bolt)
    assert list(load_task("t0")) == ["bolt"]
    assert not stray.exists()


def test_features_that_changed_after_the_prototype_are_refused(bolt, make_split):
    other = make_split(count=6, name="other", maps=[layer + 1 for layer in make_split(count=6, name="o").maps()])
    folder = paths.FEATURES / "bolt.zarr/train"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    write_split(folder, other.origin, other.images, [other.maps()])
    with pytest.raises(StoreError, match=r"bolt\.zarr/train changed after its prototype was made"):
        load_task("t0")


def test_a_task_that_check_does_not_know_is_named(bolt):
    with pytest.raises(ArtifactError, match=r"data/check/tasks/t9 does not exist; `dvc repro check` makes it"):
        load_task("t9")
