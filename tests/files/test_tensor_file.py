"""Tensors in safetensors files: read back whole, the same bytes for the same content."""

import numpy as np
import pytest
import torch

from moleflow.files import feature_store, record_file, tensor_file
from moleflow.files.artifacts import FORMAT, ArtifactError
from moleflow.files.feature_store import open_split
from moleflow.files.record_file import Record, read_attributes, read_record, write_record
from moleflow.files.tensor_file import load_tensors, save_tensors
from moleflow.routing import router_file
from moleflow.routing.rejection import OwnImages
from moleflow.routing.router_file import RouterFile, read_router, write_router


def test_tensors_are_read_back_and_bytes_repeat(tmp_path):
    tensors = {"b": torch.randn(3, 2).T, "a": torch.arange(4)}
    for name, order in (("one", "ba"), ("two", "ab")):
        save_tensors(tmp_path / name, "thing", {key: tensors[key] for key in order}, {"z": 1, "y": [2.5, "x"]})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read, metadata = load_tensors(tmp_path / "one", "thing")
    assert metadata == {"z": 1, "y": [2.5, "x"]}
    assert read.keys() == tensors.keys()
    assert all(read[key].equal(tensors[key]) for key in tensors)


def test_broken_and_missing_files_are_named_with_the_way_out(tmp_path):
    with pytest.raises(ArtifactError, match=r"missing does not exist; `dvc repro`"):
        load_tensors(tmp_path / "missing", "thing")
    save_tensors(tmp_path / "cut", "thing", {"a": torch.randn(100)}, {})
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:200])
    with pytest.raises(ArtifactError, match="cut cannot be read"):
        load_tensors(tmp_path / "cut", "thing")


def test_files_of_another_version_are_refused(tmp_path, monkeypatch, make_split):
    """Whatever holds tensors, arrays, features or the router says in which format it is."""
    router = RouterFile(
        router="oracle",
        reject_rate=0.1,
        tasks=["t0"],
        products={"bolt": "t0"},
        prototypes={"bolt": "0"},
        own_images={"bolt": OwnImages([], [], [])},
    )
    save_tensors(tmp_path / "tensors", "thing", {"a": torch.ones(1)}, {})
    write_record(tmp_path / "record", Record({"a": np.ones(1)}, {"b": 2}))
    write_router(tmp_path / "router", router)
    split = make_split()
    assert read_router(tmp_path / "router") == router
    assert read_attributes(tmp_path / "record") == {"b": 2}
    with pytest.raises(ArtifactError, match="tensors has the format 'thing 2' instead of 'scorer 2': another file, or"):
        load_tensors(tmp_path / "tensors", "scorer")
    for module in (tensor_file, record_file, feature_store, router_file):
        monkeypatch.setattr(module, "FORMAT", FORMAT + 1)
    reads = {
        "tensors": lambda path: load_tensors(path, "thing"),
        "record": read_record,
        "router": read_router,
        split.path.relative_to(tmp_path).as_posix(): lambda path: open_split(path.parent, path.name),
    }
    for path, read in reads.items():
        with pytest.raises(
            ArtifactError,
            match=f"{path} has the format .*: another file, or one of another version of moleflow; delete",
        ):
            read(tmp_path / path)
