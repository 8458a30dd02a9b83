"""Tensors in safetensors files: read back whole, the same bytes for the same content."""

import pytest
import torch

from moleflow.files.artifacts import ArtifactError
from moleflow.files.tensor_file import load_tensors, save_tensors


def test_tensors_are_read_back_and_bytes_repeat(tmp_path):
    tensors = {"b": torch.randn(3, 2).T, "a": torch.arange(4)}
    for name, order in (("one", "ba"), ("two", "ab")):
        save_tensors(tmp_path / name, {key: tensors[key] for key in order}, {"z": 1, "y": [2.5, "x"]})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    read, metadata = load_tensors(tmp_path / "one")
    assert metadata == {"z": 1, "y": [2.5, "x"]}
    assert read.keys() == tensors.keys()
    assert all(read[key].equal(tensors[key]) for key in tensors)


def test_broken_and_missing_files_are_named_with_the_way_out(tmp_path):
    with pytest.raises(ArtifactError, match=r"missing does not exist; `dvc repro`"):
        load_tensors(tmp_path / "missing")
    save_tensors(tmp_path / "cut", {"a": torch.randn(100)}, {})
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:200])
    with pytest.raises(ArtifactError, match="cut cannot be read"):
        load_tensors(tmp_path / "cut")
