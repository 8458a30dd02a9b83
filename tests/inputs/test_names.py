"""1. Names beyond ASCII: of files, folders, products and tasks."""

import shutil

import numpy as np
import pytest
from PIL import Image
from projects import PRODUCTS, ROOT, Clone, Project
from ruamel.yaml import YAML

from moleflow.images.reading import read_image
from stages.params_mistakes import all_mistakes


def test_01_any_file_name_and_names_in_any_script_go_through_the_whole_pipeline(tmp_path):
    """A home folder with an umlaut; products größe, 部品-2 and bolt; images that are called as people call them."""
    project = Project.of_small_products(tmp_path / "Büro Müller, 100 % 'neu'")
    raw = project.root / "data/raw/small"
    names = {"bolt": "größe", "nut": "部品-2", "washer": "Ø_3"}
    for old, new in names.items():
        (raw / old).rename(raw / new)
    first = raw / "größe/test/good/0.png"
    pixels = np.asarray(Image.open(first))
    for number, name in enumerate(("Schräg 000.png", "a,b; c.png", "日本.png", '"quoted" $x #1.png', "_mask.png")):
        shutil.move(raw / f"größe/train/good/{number}.png", raw / "größe/train/good" / name)
    first.rename(first.with_name("Schräg, 000.png"))
    params = project.params()
    classes = {names[name]: {**params["classes"][name], "path": f"data/raw/small/{names[name]}"} for name in PRODUCTS}
    classes["部品-2"]["task"] = "zweite-Aufgabe"
    project.edit(classes=classes, later_tasks=["zweite-Aufgabe", "t2"])
    project.run()
    assert list(project.metrics("classes")) == list(names.values())
    assert project.summary()["image_auroc"] > 0.8
    np.testing.assert_array_equal(np.asarray(read_image(first.with_name("Schräg, 000.png"), white=None)), pixels)
    page = (project.root / "metrics/report/index.html").read_text(encoding="utf-8")
    assert "größe" in page
    assert "部品-2" in page


@pytest.mark.parametrize("name", ["a.b", "a@b", "a/b", "-a", "a b", "", "a:b", "unknown", "mean", "ä\n", "ä" * 101])
def test_01_other_names_are_refused(name):
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    line = {"task": "t00", "layout": "mvtec", "path": "x"}
    found = all_mistakes({**params, "classes": {**params["classes"], name: line}})
    assert any(each.startswith("classes.") for each in found), found
    if name not in ("unknown", "mean"):
        line = {**params["classes"]["brick"], "task": name}
        found = all_mistakes({**params, "classes": {**params["classes"], "brick": line}})
        assert any(each.startswith("classes.brick.task") for each in found), found


@pytest.mark.dvc
def test_01_dvc_runs_the_stages_of_such_names_and_reads_quotes_and_dollars_in_paths(tmp_path):
    clone = Clone.of_small_products(tmp_path / "Büro")
    folder = "data/raw/klein 'a' $x/größe-2"
    (clone.root / folder).parent.mkdir()
    (clone.root / "data/raw/small/bolt").rename(clone.root / folder)
    params = clone.params()
    line = {**params["classes"].pop("bolt"), "path": folder}
    clone.edit(classes={"größe-2": line, **params["classes"]})
    assert clone.repro("index@größe-2") == {"check", "index@größe-2"}
    assert "Data and pipelines are up to date." in clone.dvc("status", "index@größe-2")
    assert len((clone.root / "data/index/größe-2.csv").read_text().splitlines()) == 29
    first = clone.root / folder / "train/good/0.png"
    first.write_bytes((clone.root / folder / "test/good/0.png").read_bytes())
    assert "several splits" in clone.dvc("repro", "index@größe-2", check=False)
