"""Products replaced under real DVC: nothing is left over, and dvc.lock repeats.

Each test starts a process per stage. What the stages compute is asserted in process, in test_stages.py.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from projects import PRODUCTS, Clone, git, write_product

pytestmark = pytest.mark.dvc


def test_a_task_that_loses_a_product_is_learned_again(copy):
    """In the first task nut leaves bolt; what the experts hold then is asserted in test_stages.py."""
    params = copy.params()
    params["classes"]["nut"]["task"] = "t0"
    copy.edit(classes=params["classes"], later_tasks=["t2"])
    copy.repro("base")
    params = copy.params()
    del params["classes"]["nut"]
    copy.edit(classes=params["classes"])
    assert copy.repro("base") == {"check", "base"}
    assert "up to date" in copy.dvc("status", "base")


def test_all_products_and_strays_are_replaced_and_a_second_checkout_is_clean(copy, tmp_path):
    """A new user's first hour: another product in their place; something unlisted lies in every whole folder."""
    folders = {"index": ".csv", "features": ".zarr", "probes": ".zarr", "statistics": ".h5", "scores": ".h5"}
    folders |= {"scorers": ".safetensors", "baselines": ".h5", "tasks/t0": ".safetensors", "tasks": "", "experts": ""}
    strays = [copy.root / "data" / folder / f"gone{suffix}" for folder, suffix in {**folders, "curves": ""}.items()]
    for stray in strays:
        stray.write_text("left by something else")
    copy.edit(classes={}, later_tasks=[])
    write_product(copy.root / "data/raw/small/rivet", 10)
    copy.add("rivet", "t0")
    copy.repro()
    assert list(copy.metrics("classes")) == ["rivet"]
    assert not any(stray.exists() for stray in strays)
    left = [path for path in (copy.root / "data").glob("*/*") if path.stem in (*PRODUCTS, "t1", "t2")]
    assert [path for path in left if path.parent.name not in ("small", "products")] == []

    copy.commit()
    other = Clone(tmp_path / "other")
    git(tmp_path, "clone", "-q", str(copy.root), str(other.root))
    shutil.copytree(copy.root / "data/raw", other.root / "data/raw")
    other.dvc("cache", "dir", "--local", str(copy.root / ".dvc/cache"))
    other.dvc("checkout", "--with-deps", "report")
    assert "up to date" in other.dvc("status", "--with-deps", "report")


def test_a_stage_killed_in_a_fresh_clone_leaves_nothing_and_all_files_are_those_of_the_first(done, tmp_path):
    """The lock, metrics and report of two clones with caches of their own are the same, but for measured costs."""
    clone = Clone(tmp_path / "clone")
    git(tmp_path, "clone", "-q", str(done.root), str(clone.root))
    git(clone.root, "checkout", "-q", "HEAD~1")  # the state before the run
    shutil.copytree(done.root / "data/raw", clone.root / "data/raw")
    clone.repro("base")
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "train@t1"],
        cwd=clone.root,
        env=clone.environment(),
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (clone.root / "data/curves/.t1.partial").exists():
        assert process.poll() is None, "train ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (clone.root / "data/experts/t1").exists()
    assert "train@t1" in clone.repro()
    assert clone.lock() == done.lock()  # as content: the order of the entries is that of the runs
    ours, theirs = (
        {path.relative_to(each.root).as_posix(): path.read_bytes() for path in each.root.glob("metrics/**/*.*")}
        for each in (done, clone)
    )
    assert ours.keys() == theirs.keys()
    assert [path for path in ours if ours[path] != theirs[path]] == ["metrics/costs.json"]
