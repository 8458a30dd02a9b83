"""Which normal images a later task's expert learns from: never those that its calibration is left with."""

import pytest
import torch
from samples import CPU

from moleflow.features.folds import fold_numbers
from moleflow.features.prototype import build_prototype
from moleflow.files.feature_store import NORMAL, Origin, open_split, write_split
from moleflow.files.paths import Paths
from moleflow.learning.training_images import cross, split


@pytest.fixture
def normal(tmp_path):
    """Paths and prototype of a product.

    Every picture is a constant, its copies in the store's group rotated the same one.
    """
    paths = Paths(tmp_path)
    pictures = {"train": range(1, 11), "rotated": [*range(1, 11)] * 3, "calibration": range(11, 15)}
    splits = {}
    for group, numbers in pictures.items():
        maps = torch.tensor(list(numbers)).float().reshape(-1, 1, 1, 1).expand(-1, 4, 2, 2)
        store, names = paths.features.of("bolt"), [f"{number}.png" for number in numbers]
        write_split(store / group, Origin("b", "0", [1], 8, "stretch"), names, [[maps]])
        splits[group] = open_split(store, group)
    patching = {"neighborhood": 1, "embed_dim": 4, "grid": 2, "layer_merge": "concat"}
    prototype = build_prototype(
        *(splits[group] for group in NORMAL),
        patching=patching,
        standardize="none",
        router_rank=2,
        device=CPU,
    )
    return paths, prototype


def test_no_fold_learns_from_its_own_images_nor_from_turned_copies_of_it(normal):
    paths, prototype = normal
    every = cross(paths, {"bolt": prototype}, 4)
    folds = fold_numbers(14, 4)
    assert len(every) == 4
    for fold, features in enumerate(every):
        learned = set(features["bolt"][:][:, 0, 0, 0].int().tolist())
        assert learned == {number for number, its in enumerate(folds, start=1) if its != fold}
        assert len(features["bolt"]) == sum((4 if number <= 10 else 1) for number in learned)


def test_split_learns_from_the_training_images_and_their_turned_copies_alone(normal):
    paths, prototype = normal
    (features,) = split(paths, {"bolt": prototype}, 4)
    learned = features["bolt"][:][:, 0, 0, 0].int().tolist()
    assert learned == [*range(1, 11)] * 4
