"""A product as it was at a commit: judged by its artifacts, given back, or refused, under real DVC."""

import csv

import pytest
from projects import darker, git, stages_run

pytestmark = pytest.mark.dvc


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

    darker(copy, copy.root / "another day", 0.8, 6, product="washer")
    said = copy.command("moleflow", "recalibrate", "washer", "another day").stdout
    assert stages_run(said) == {"check", "recalibrate@washer", "evaluate", "report"}
    assert "none moved" in said
    assert "washer, now: an alarm above " in said
    assert copy.metrics("classes") != done.metrics("classes")
    copy.command("moleflow", "rollback", "washer", rev)
    assert copy.params()["recalibrations"] == {}
    assert copy.metrics("classes") == done.metrics("classes")


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
    assert "params.yaml data/regions data/feedback`, data/check/tasks/t2.json" in refusal()
