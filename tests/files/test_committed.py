"""dvc.lock as it lies there."""

import pytest
from projects import git

from moleflow.files.committed import CommitError, committed, lock_stages

CONFLICT = """schema: '2.0'
stages:
<<<<<<< HEAD
  base:
    cmd: ours
=======
  base:
    cmd: theirs
>>>>>>> tuesday
"""


def test_conflict_marks_of_a_merge_are_told_with_the_way_out(tmp_path):
    assert lock_stages(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text(CONFLICT)
    with pytest.raises(CommitError, match=r"dvc\.lock is not YAML .* `git checkout --ours dvc\.lock`.* `dvc repro`"):
        lock_stages(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "marks and all")
    with pytest.raises(CommitError, match=r"dvc\.lock of HEAD is not YAML .*; choose another commit"):
        committed(tmp_path, "HEAD", "dvc.lock")
    (tmp_path / "dvc.lock").write_text("no keys")
    with pytest.raises(CommitError, match="has no keys"):
        lock_stages(tmp_path)
