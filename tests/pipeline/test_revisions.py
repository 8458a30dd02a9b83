"""Which model judged this part: predictions of an older commit, by its artifacts alone."""

import csv

import pytest

pytestmark = pytest.mark.dvc


def test_an_older_commit_judges_as_it_did(copy):
    def predictions(*options):
        images = ("data/raw/small/bolt/test", "--product", "bolt")
        done = copy.command("moleflow", "predict", *images, *options, check=False)
        assert done.returncode in (0, 1), done.stderr
        return list(csv.DictReader(done.stdout.splitlines()))

    before = predictions()
    copy.edit(score="memory")
    copy.repro()
    copy.commit()
    assert predictions("--rev", "HEAD~1") == before
    assert predictions("--rev", "HEAD") == predictions() != before
