"""A product added, shown, taken away and rolled back by a command each, under real DVC; a failure that is undone."""

import csv

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


def test_an_older_commit_still_judges_and_gives_a_product_back(done, copy):
    rev = git(copy.root, "rev-parse", "HEAD").strip()

    def predictions(*options):
        said = copy.command("moleflow", "predict", "data/raw/small/washer/test", *options, check=False)
        assert said.returncode < 3, said.stderr
        return list(csv.DictReader(said.stdout.splitlines()))

    before = predictions()
    own = {path: md5 for path, md5 in done.hashes().items() if "washer" in path or path.endswith("experts/t2")}
    copy.command("moleflow", "retire", "washer")
    copy.commit()
    assert predictions("--rev", rev) == before != predictions()

    assert "none moved" in copy.command("moleflow", "rollback", "washer", rev).stdout
    assert own.items() <= copy.hashes().items()
    assert copy.metrics("classes") == done.metrics("classes")

    said = copy.command("moleflow", "recalibrate", "washer", "data/raw/small/washer/test/good").stdout
    assert stages_run(said) == {"check", "recalibrate@washer", "evaluate", "report"}
    assert "none moved" in said
    assert "washer, now: an alarm above " in said


def test_a_product_is_not_rolled_back_into_another_world(copy):
    rev, folder = git(copy.root, "rev-parse", "HEAD").strip(), copy.root / "data/raw/small/washer/test/good"

    def refusal(name="washer"):
        refused = copy.command("moleflow", "rollback", name, rev, check=False)
        assert refused.returncode == 1
        return refused.stderr

    assert "lists no product screw" in refusal("screw")
    kept = (folder / "0.png").read_bytes()
    (folder / "0.png").write_bytes((folder / "1.png").read_bytes())
    assert "other, new or missing are data/raw/small/washer/test/good/0.png" in refusal()
    (folder / "0.png").write_bytes(kept)

    lock = (copy.root / "dvc.lock").read_text()
    flow = next(dep["md5"] for dep in copy.lock()["stages"]["base"]["deps"] if dep["path"] == "moleflow/flow")
    (copy.root / "dvc.lock").write_text(lock.replace(flow, "0" * 32 + ".dir"))
    assert "other code or another base today: moleflow/flow" in refusal()
    (copy.root / "dvc.lock").write_text(lock)

    copy.edit(epochs=3)
    assert "params.yaml`, data/check/tasks/t2.json" in refusal()
