"""16. Two people each add a product on a branch of their own."""

import subprocess

import pytest
from projects import Clone, git, write_product

from moleflow.config.params import ParamsError, read_params


def add_on_branch(clone, branch, name, number):
    git(clone.root, "checkout", "-qb", branch, "main")
    write_product(clone.root / "data/raw/small" / name, number)
    clone.add(name, name)
    clone.commit()


@pytest.mark.dvc
def test_16_two_branches_that_each_add_a_product_merge(tmp_path):
    clone = Clone.of_small_products(tmp_path / "clone")
    git(clone.root, "branch", "-M", "main")
    add_on_branch(clone, "monday", "rivet", 7)
    add_on_branch(clone, "tuesday", "bracket", 8)
    git(clone.root, "-c", "user.name=t", "-c", "user.email=t@t", "merge", "-q", "--no-edit", "monday")
    assert set(clone.params()["classes"]) == {"bolt", "nut", "washer", "bracket", "rivet"}
    assert set(clone.params()["later_tasks"]) == {"t1", "t2", "bracket", "rivet"}
    assert "check" in clone.repro("check")
    listed = clone.dvc("stage", "list", "--name-only").split()
    assert {"index@rivet", "index@bracket", "train@rivet", "train@bracket"} <= set(listed)


def test_16_a_product_that_is_there_twice_is_refused(tmp_path, params):
    """As after a merge of two branches that added the same one."""
    text = params.read_text()
    line = next(each for each in text.splitlines() if each.startswith("  brick:"))
    params.write_text(text.replace(line, f"{line}\n{line}"))
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be read: .*(?s:.*)brick"):
        read_params(params)


@pytest.mark.dvc
def test_16_the_recipe_of_the_readme_resolves_the_lock(done, tmp_path):
    """Both branches ran; the lock and the metrics conflict."""
    clone = done.copy(tmp_path / "copy")
    git(clone.root, "branch", "-M", "main")
    for branch, top_k in (("monday", 2), ("tuesday", 3)):
        git(clone.root, "checkout", "-qb", branch, "main")
        clone.edit(top_k=top_k)
        clone.repro("score@bolt")
        clone.commit()
    merge = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "merge", "-q", "--no-edit", "monday"]
    assert subprocess.run(merge, cwd=clone.root, capture_output=True).returncode != 0
    text = (clone.root / "params.yaml").read_text()
    assert text.count("\ntop_k:") == 2  # one value changed on both sides is doubled, and refused
    with pytest.raises(ParamsError):
        read_params(clone.root / "params.yaml")
    (clone.root / "params.yaml").write_text(text.replace("top_k: 2  # patches\n", ""))
    git(clone.root, "checkout", "--ours", "dvc.lock", "metrics")
    assert "score@bolt" not in clone.repro("score@bolt")
    git(clone.root, "add", "-A")
