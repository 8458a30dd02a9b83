import pytest
import torch

from moleflow.artifacts import ArtifactError, write_json, written_whole
from moleflow.tensors_file import load_tensors, save_tensors


@pytest.mark.parametrize("folder", [False, True])
def test_failure_leaves_the_old_artifact_and_nothing_else(tmp_path, folder):
    path = tmp_path / "artifact"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as partial:
        if folder:
            partial.mkdir()
            (partial / "file").write_text("half")
        else:
            partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["artifact"]


def test_leftover_of_a_kill_is_overwritten(tmp_path):
    (tmp_path / ".artifact.partial").mkdir()
    with written_whole(tmp_path / "artifact") as partial:
        partial.write_text("new")
    assert (tmp_path / "artifact").read_text() == "new"


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


def test_nan_never_enters_a_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "m.json", {"x": float("nan")})
    assert not (tmp_path / "m.json").exists()
