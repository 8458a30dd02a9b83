"""A product added, shown and taken away by a command each, under real DVC; a failure that is undone."""

import pytest
from projects import git, stages_run, write_product

pytestmark = pytest.mark.dvc

ARRIVED = {"check", "route", "misrouted", "baseline@pca", "evaluate", "report"}


def test_a_product_is_enrolled_and_retired_and_nothing_older_moves(done, copy, tmp_path):
    hashes, before = done.hashes(), done.metrics("classes")
    write_product(tmp_path / "rivet", 7)
    said = copy.command("moleflow", "enroll", "rivet", str(tmp_path / "rivet"), "--alarm-rate", "0.25").stdout
    own = {f"{stage}@rivet" for stage in ("index", "extract", "probe", "prototype", "train", "statistics", "score")}
    assert stages_run(said) == own | ARRIVED
    line = {"task": "rivet", "layout": "mvtec", "path": str(tmp_path / "rivet"), "alarm_rate": 0.25}
    assert copy.params()["classes"]["rivet"] == line
    assert copy.params()["later_tasks"] == ["t1", "t2", "rivet"]
    common = ("check", "router.json", "routes.h5", "misrouted.h5", "baselines")
    older = {path: md5 for path, md5 in hashes.items() if path.split("/")[1] not in common}
    older = {path: md5 for path, md5 in older.items() if not path.startswith("metrics/")}
    assert older.items() <= copy.hashes().items()
    assert "older artifacts have the digests that they had, none moved" in said
    base = "data/experts/base.safetensors"
    assert (copy.root / base).read_bytes() == (done.root / base).read_bytes()
    after = copy.metrics("classes")
    assert list(after) == ["bolt", "nut", "washer", "rivet"]
    assert after["rivet"]["alarm_rate"] == 0.25
    assert all(after[name]["image_auroc_own_expert"] == before[name]["image_auroc_own_expert"] for name in before)

    shown = copy.command("moleflow", "card", "rivet").stdout
    assert shown in said
    for fact in ("products most like it: ", "smallest alarm rate that they can promise: ", "painted defects that it "):
        assert fact in shown

    assert "the base was learned with bolt" in copy.command("moleflow", "retire", "bolt", check=False).stderr
    said = copy.command("moleflow", "retire", "rivet").stdout
    assert stages_run(said) <= ARRIVED  # the run cache may know the result
    assert "none moved" in said
    assert older.items() <= copy.hashes().items()
    assert copy.metrics("classes") == before
    assert not [path for path in copy.root.glob("data/*/*") if path.stem == "rivet"]
    assert (tmp_path / "rivet/train/good").is_dir()


def test_an_enrollment_that_fails_is_undone(copy, tmp_path):
    write_product(tmp_path / "rivet", 7)
    stage = copy.root / "stages/train.py"
    stage.write_text(stage.read_text().replace("paths = Paths(Path())", "raise SystemExit('no learning today')", 1))
    copy.commit()
    failed = copy.command("moleflow", "enroll", "rivet", str(tmp_path / "rivet"), check=False)
    assert failed.returncode == 1
    assert "undone" in failed.stderr
    for folder, name, reason in (
        (tmp_path / "none", "nail", "does not exist"),
        (tmp_path / "rivet", "bolt", "name of a product or task already"),
        (tmp_path / "rivet", "a.b", "a.b"),
    ):
        refused = copy.command("moleflow", "enroll", name, str(folder), check=False)
        assert refused.returncode == 1
        assert reason in refused.stderr
    assert git(copy.root, "status", "--porcelain") == ""
