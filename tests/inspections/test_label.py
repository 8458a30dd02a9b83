"""`moleflow label`: through the real command, and what the stages then make of labeled images."""

import csv
import os
import sys

import numpy as np
import pytest
from PIL import Image
from projects import Project, save

from moleflow.cli.label import LabelError
from moleflow.cli.main import main
from moleflow.config.registry import ChoiceError
from moleflow.files.feature_store import has_split, open_split
from moleflow.files.paths import Paths
from moleflow.files.record_file import read_record
from moleflow.images.index_table import read_index


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    made = Project.of_small_products(tmp_path_factory.mktemp("pipeline"))
    made.edit(reject_rate=0.0)
    made.run()
    return made


@pytest.fixture
def project(ran, tmp_path, monkeypatch):
    copy = ran.copy(tmp_path / "repository")
    monkeypatch.chdir(copy.root)
    return copy


@pytest.fixture
def image(ran, tmp_path):
    """A darker picture of bolt, with a name that is hard to handle."""
    path = tmp_path / "an image, näher.png"
    with Image.open(ran.root / "data/raw/small/bolt/test/good/0.png") as good:
        Image.fromarray((np.asarray(good) * 0.9).astype(np.uint8)).save(path)
    return path


def label(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["moleflow", "label", *map(str, arguments)])
    main.__wrapped__()


def labels(project, product="bolt"):
    with (project.root / f"data/feedback/{product}/labels.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def listed(project):
    folder = project.root / "data/feedback"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def defective_image(tmp_path, name="defect.png", seed=0):
    save(tmp_path / name, np.random.default_rng(seed).integers(0, 255, (48, 48, 3), dtype=np.uint8))
    return tmp_path / name


def test_labeled_images_are_judged_and_nothing_is_learned(project, image, tmp_path, monkeypatch):
    paths = Paths(project.root)
    learned = [paths.base, *sorted(paths.experts.rglob("*.safetensors")), *sorted(paths.tasks.rglob("*.safetensors"))]
    kept = {path: path.read_bytes() for path in (*learned, *paths.scorers.path.iterdir())}
    index, classes = read_index(paths.index.of("bolt")), project.metrics("classes")
    label(monkeypatch, image, "--product", "bolt", "--normal")
    label(monkeypatch, defective_image(tmp_path), "--product", "bolt", "--defective", "deep scratch")
    project.run()
    assert {path: path.read_bytes() for path in kept} == kept

    now = read_index(paths.index.of("bolt"))
    added = now[now.split == "feedback"]
    assert now[: len(index)].equals(index)
    assert added[["label", "defect"]].to_numpy().tolist() == [[0, "good"], [1, "deep scratch"]]
    assert open_split(paths.features.of("bolt"), "feedback").images == added.path.tolist()
    assert not has_split(paths.features.of("nut"), "feedback")

    found = project.metrics("classes")
    p_values = read_record(paths.scores.of("bolt"), "feedback").arrays["p_value"]
    alarms = (p_values <= 0.2).astype(float).tolist()
    assert found["bolt"]["feedback_images"] == 2
    assert [found["bolt"]["feedback_false_alarm_rate"], found["bolt"]["feedback_recall"]] == alarms
    assert {key: value for key, value in found["bolt"].items() if "feedback" not in key} == classes["bolt"]
    assert found["nut"] == classes["nut"]
    assert "labeled later" in (project.root / "metrics/report/index.html").read_text()


def test_a_labeled_image_keeps_its_name_source_and_digest(project, image, monkeypatch):
    label(monkeypatch, image, "--product", "bolt", "--normal")
    (row,) = labels(project)
    assert row["source"] == str(image)
    assert row["image"] == f"normal/an image, näher-{row['digest'][:12]}.png"
    assert (project.root / "data/feedback/bolt" / row["image"]).read_bytes() == image.read_bytes()


def test_images_of_one_name_from_two_folders_stay_apart(project, tmp_path, monkeypatch):
    images = [defective_image(tmp_path / folder, seed=number) for number, folder in enumerate("ab")]
    label(monkeypatch, *images, "--product", "bolt", "--defective", "hole")
    assert sorted(row["source"] for row in labels(project)) == sorted(map(str, images))
    assert len(listed(project)) == 3


@pytest.mark.parametrize("wrong", ["twice", "twin", "own", "broken", "missing", "labeled"])
def test_what_cannot_be_labeled_is_refused_and_nothing_is_copied(project, image, tmp_path, monkeypatch, wrong):
    twin = tmp_path / "twin.bmp"
    Image.open(image).save(twin)
    (tmp_path / "broken.png").write_bytes(b"no image")
    own = project.root / "data/raw/small/bolt/train/good/0.png"
    if wrong == "labeled":
        label(monkeypatch, image, "--product", "bolt", "--defective", "hole")
    before = listed(project) if wrong == "labeled" else []
    given = {"twice": image, "own": own, "broken": tmp_path / "broken.png", "missing": tmp_path / "no.png"}
    more = {"twin": twin, "twice": tmp_path / ".." / tmp_path.name / image.name, "labeled": twin}
    images = [defective_image(tmp_path), more.get(wrong, given.get(wrong)), *([image] if wrong == "twin" else [])]
    if wrong == "twice":  # the same file is one image, however it is named
        label(monkeypatch, image, images[1], "--product", "bolt", "--normal")
        assert len(labels(project)) == 1
        return
    with pytest.raises(LabelError, match=r"nothing was labeled") as refused:
        label(monkeypatch, *images, "--product", "bolt", "--normal")
    assert str(images[1] if wrong != "twin" else image.name) in str(refused.value)
    assert listed(project) == before


@pytest.mark.parametrize("kind", ["", ".", "..", "a/b", "good", "Good", "-x"])
def test_a_kind_is_the_name_of_a_folder(project, image, monkeypatch, kind):
    with pytest.raises(LabelError, match=r"no kind of defect"):
        label(monkeypatch, image, "--product", "bolt", f"--defective={kind}")
    assert listed(project) == []


def test_an_unknown_product_is_refused(project, image, monkeypatch):
    with pytest.raises(ChoiceError, match="blot"):
        label(monkeypatch, image, "--product", "blot", "--normal")


def test_a_label_is_given_once(project, image, monkeypatch, capsys):
    for labels_given in ([], ["--normal", "--defective", "hole"]):
        with pytest.raises(SystemExit):
            label(monkeypatch, image, "--product", "bolt", *labels_given)
    assert "--normal" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_leaves_nothing(project, image, monkeypatch):
    (project.root / "data/feedback").mkdir(mode=0o500)
    with pytest.raises(LabelError, match="cannot be written"):
        label(monkeypatch, image, "--product", "bolt", "--normal")


def test_check_refuses_feedback_that_would_not_count(project, image):
    folder = project.root / "data/feedback/bolt"
    folder.mkdir(parents=True)
    (folder / "loose.png").write_bytes(image.read_bytes())
    with pytest.raises(SystemExit, match=r"loose\.png is no labeled image"):
        project.run("check")
    (folder / "loose.png").unlink()
    (project.root / "data/feedback/rivet").mkdir()
    with pytest.raises(SystemExit, match="rivet is feedback on no product"):
        project.run("check")


def test_the_index_refuses_a_labeled_copy_of_an_image_that_came_later(project, image, monkeypatch):
    label(monkeypatch, image, "--product", "bolt", "--normal")
    Image.open(image).save(project.root / "data/raw/small/bolt/test/good/later.bmp")
    project.run("check")
    with pytest.raises(SystemExit, match=r"is the same picture as .*later"):
        project.run("index")


def test_new_thresholds_by_labeled_normal_images(project, tmp_path, monkeypatch):
    for number, path in enumerate(sorted((project.root / "data/raw/small/bolt/train/good").glob("*.png"))[:6]):
        with Image.open(path) as good:
            Image.fromarray((np.asarray(good) * 0.8).astype(np.uint8)).save(tmp_path / f"{number}.png")
    label(monkeypatch, tmp_path / "*.png", "--product", "bolt", "--normal")
    project.edit(recalibrations={"bolt": "data/feedback/bolt/normal"})
    project.run("check", "index", "extract", "statistics", "score", "recalibrate", "evaluate")
    paths = Paths(project.root)
    arrays = [read_record(path, "feedback").arrays for path in (paths.scores.of("bolt"), paths.scores_of("bolt"))]
    assert not np.array_equal(*(each["p_value"] for each in arrays))
    assert len(read_record(paths.scores_of("bolt")).arrays["calibration/image_score"]) == 6
