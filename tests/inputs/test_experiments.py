"""13. Experiments that run in a copy of the repository, which holds only what Git and DVC track."""

import shutil

import pytest
from projects import ROOT, Clone, git, write_product

from moleflow.files.tracked import is_made_by_dvc, travels


@pytest.mark.dvc
def test_13_a_copy_without_the_images_says_so_and_absolute_paths_work_in_it(tmp_path):
    clone = Clone.of_small_products(tmp_path / "clone")  # its images are ignored by Git
    said = clone.dvc("exp", "run", "--temp", "-S", "top_k=2", "index@bolt", check=False)
    assert "error: classes.bolt.path: data/raw/small/bolt, classes.nut.path: data/raw/small/nut" in said
    assert "not in the copy of the repository that this experiment runs in" in said
    assert "No such file" not in said
    warned = clone.command("moleflow", "check").stdout
    path = clone.root / "data/raw/small/bolt"
    assert "note: neither Git nor DVC tracks data/raw/small/bolt: experiments with --queue or --temp" in warned
    assert f"lacks it; write {path}" in warned
    params = clone.params()
    for name, line in params["classes"].items():
        line["path"] = str(clone.root / "data/raw/small" / name)
    clone.edit(classes=params["classes"])
    clone.commit()
    assert "note: neither" not in clone.command("moleflow", "check").stdout
    clone.dvc("exp", "run", "--temp", "-S", "top_k=2", "index@bolt")


def test_13_what_stages_make_and_git_or_dvc_tracks_travels(tmp_path):
    shutil.copy(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    git(tmp_path, "init", "-q")
    for name in ("tracked", "ignored", "added"):
        write_product(tmp_path / name / "bolt", 0)
    git(tmp_path, "add", "tracked")
    (tmp_path / "added.dvc").write_text("outs: []\n")
    for path, found in {
        "data/raw/demo/brick": True,
        "data/raw/mine": False,
        "data/features/bolt.zarr": True,
        "tracked/bolt": True,
        "ignored/bolt": False,
        "added/bolt": True,
        "../elsewhere": False,
        str(tmp_path / "ignored/bolt"): True,  # absolute
    }.items():
        assert travels(path, tmp_path) == found, path
    assert not is_made_by_dvc("tracked/bolt", tmp_path)
