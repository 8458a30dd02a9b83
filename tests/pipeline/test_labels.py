"""Labeled images of the product that the base was learned with, under real DVC."""

import numpy as np
import pytest
from projects import save, stages_run

pytestmark = pytest.mark.dvc


def test_a_label_on_the_first_task_learns_nothing(done, copy, tmp_path):
    for number in range(4):
        save(tmp_path / f"{number}.png", np.full((48, 48, 3), 130 + number, np.uint8))
    said = copy.command("moleflow", "label", str(tmp_path / "*.png"), "--product", "bolt", "--normal").stdout
    assert "4 images of bolt labeled normal" in said
    assert "`dvc add data/feedback/bolt`" in said
    own = {f"{stage}@bolt" for stage in ("index", "extract", "probe", "statistics", "score")}
    ran = stages_run(copy.dvc("repro", "report"))
    assert ran <= own | {"check", "route", "misrouted", "baseline@pca", "evaluate", "report"}
    assert own <= ran
    folders = ("data/experts", "data/tasks", "data/scorers", "data/curves")
    kept = {path: md5 for path, md5 in done.hashes().items() if path.startswith(folders)}
    assert kept
    assert kept.items() <= copy.hashes().items()
    assert copy.metrics("classes")["bolt"]["feedback_images"] == 4
    assert copy.metrics("summary") == done.metrics("summary")
