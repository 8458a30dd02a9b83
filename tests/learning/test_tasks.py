"""What learning a task is given: its own products' normal images, and nothing that lies beside them."""

import numpy as np
import pytest
from samples import CPU

from moleflow.features.prototype import build_prototype, save_prototype
from moleflow.files.artifacts import ArtifactError, write_json
from moleflow.files.feature_store import NORMAL, StoreError, write_split
from moleflow.files.paths import Paths
from moleflow.learning.tasks import load_task, normal_features, painted_features

PATCHING = {"neighborhood": 1, "embed_dim": 16, "grid": 4, "layer_merge": "concat"}


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path)


@pytest.fixture
def bolt(make_split, paths):
    """A product in task t0, its stores and its prototype where the stages have them."""
    split = make_split(count=6)
    for name in (*NORMAL, "test"):
        write_split(paths.features.of("bolt") / name, split.origin, split.images, [split.maps()])
    prototype = build_prototype(
        split, split, split, patching=PATCHING, standardize="product", router_rank=4, device=CPU
    )
    save_prototype(paths.prototype_of("bolt", "t0"), prototype)
    write_json(paths.task_params("t0"), {"products": ["bolt"]})
    return prototype


def test_learning_is_given_no_test_image(paths, bolt):
    assert len(normal_features(paths, "bolt", bolt, *NORMAL)) == 18
    for splits in (("test",), ("train", "test"), ("probe",)):
        with pytest.raises(StoreError, match=r"bolt: (test|probe) images are not for learning"):
            normal_features(paths, "bolt", bolt, *splits)


def test_a_task_holds_its_listed_products_alone(paths, bolt):
    stray = paths.prototype_of("nut", "t0")
    save_prototype(stray, bolt)
    assert list(load_task(paths, "t0", CPU)) == ["bolt"]
    assert not stray.exists()


def test_features_that_changed_after_the_prototype_are_refused(paths, bolt, make_split):
    other = make_split(count=6, name="other", maps=[layer + 1 for layer in make_split(count=6, name="o").maps()])
    folder = paths.features.of("bolt") / "train"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    write_split(folder, other.origin, other.images, [other.maps()])
    with pytest.raises(StoreError, match=r"bolt\.zarr/train changed after its prototype was made"):
        load_task(paths, "t0", CPU)


def test_a_task_that_check_does_not_know_is_named(paths, bolt):
    with pytest.raises(ArtifactError, match=r"data/check/tasks/t9\.json does not exist; `dvc repro check` makes it"):
        load_task(paths, "t9", CPU)


def test_images_with_painted_defects_are_those_of_the_images_learned_from(paths, bolt, make_split):
    painted = make_split(count=4, name="painted")
    write_split(
        paths.probes.of("bolt") / "painted", painted.origin, ["scar/0", "scar/5", "blob/2", "blob/0"], [painted.maps()]
    )
    learned = normal_features(paths, "bolt", bolt, "train")
    assert len(painted_features(paths, {"bolt": learned}, {"bolt": bolt}, 8)["bolt"]) == 4
    found = painted_features(paths, {"bolt": learned.take(np.array([0, 1]))}, {"bolt": bolt}, 8)["bolt"]
    assert found.images == ["scar/0", "blob/0"]
    assert found.shape[-1] == 8
    assert painted_features(paths, {"bolt": learned.take(np.array([4]))}, {"bolt": bolt}, 8) == {}
    with pytest.raises(StoreError, match="changed after its prototype was made"):
        load_task(paths, "t0", CPU)
