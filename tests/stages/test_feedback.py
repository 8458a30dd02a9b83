"""Images that were labeled later: judged, able to calibrate, and never learned from."""

import numpy as np
import pytest
from PIL import Image
from projects import Project, darker, save

from moleflow.cli.main import main
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
def defective(tmp_path):
    save(tmp_path / "defect.png", np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8))
    return tmp_path / "defect.png"


def test_labeled_images_are_judged_and_nothing_is_learned(project, tmp_path, defective):
    paths = Paths(project.root)
    learned = [paths.base, *sorted(paths.experts.rglob("*.safetensors")), *sorted(paths.tasks.rglob("*.safetensors"))]
    kept = {path: path.read_bytes() for path in (*learned, *paths.scorers.path.iterdir())}
    index, classes = read_index(paths.index.of("bolt")), project.metrics("classes")
    image = darker(project, tmp_path / "later", 0.9, 1) / "0.png"
    project.moleflow("label", image, "--product", "bolt", "--normal")
    project.moleflow("label", defective, "--product", "bolt", "--defective", "deep scratch")
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


def test_check_refuses_feedback_that_would_not_count(project, defective, monkeypatch):
    folder = project.root / "data/feedback/bolt"
    folder.mkdir(parents=True)
    (folder / "loose.png").write_bytes(defective.read_bytes())
    with pytest.raises(SystemExit, match=r"loose\.png is no labeled image"):
        project.run("check")
    monkeypatch.chdir(project.root)
    monkeypatch.setattr("sys.argv", ["moleflow", "check"])
    with pytest.raises(SystemExit, match=r"loose\.png is no labeled image"):
        main()
    (folder / "loose.png").unlink()
    (project.root / "data/feedback/rivet").mkdir()
    with pytest.raises(SystemExit, match="rivet is feedback on no product"):
        project.run("check")
    (project.root / "data/feedback/rivet").rmdir()
    (project.root / "data/feedback/nut.dvc").touch()  # in a clone before `dvc pull`
    with pytest.raises(SystemExit, match=r"feedback/nut is not here; `dvc pull data/feedback/nut\.dvc`"):
        project.run("check")


def test_the_index_refuses_a_labeled_copy_of_an_image_that_came_later(project, defective):
    project.moleflow("label", defective, "--product", "bolt", "--normal")
    Image.open(defective).save(project.root / "data/raw/small/bolt/test/good/later.bmp")
    project.run("check")
    with pytest.raises(SystemExit, match=r"is the same picture as .*later"):
        project.run("index")


def test_new_thresholds_by_labeled_normal_images(project, tmp_path, defective, capsys):
    day = darker(project, tmp_path / "day", 0.8, 6)
    project.moleflow("label", day, "--product", "bolt", "--normal")
    said = capsys.readouterr().out
    assert (
        "`moleflow recalibrate bolt data/feedback/bolt/normal` sets the thresholds by the normal ones; it needs 4"
        in said
    )
    project.moleflow("label", defective, "--product", "bolt", "--defective", "hole")
    project.edit(recalibrations={"bolt": "data/feedback/bolt/normal"})
    project.run("check", "index", "extract", "statistics", "score", "recalibrate", "evaluate")
    paths = Paths(project.root)
    arrays = [read_record(path, "feedback").arrays for path in (paths.scores.of("bolt"), paths.scores_of("bolt"))]
    assert not np.array_equal(*(each["p_value"] for each in arrays))
    assert len(read_record(paths.scores_of("bolt")).arrays["calibration/image_score"]) == 6
    found = project.metrics("classes")["bolt"]
    assert found["feedback_images"] == 7
    assert found["feedback_false_alarm_rate"] is None  # all normal ones set the threshold
    assert found["feedback_recall"] == float(arrays[1]["p_value"][-1] <= 0.2)


def test_images_that_set_the_threshold_are_no_false_alarms_wherever_they_lie(project, tmp_path):
    day, other = darker(project, tmp_path / "day", 0.8, 6), darker(project, tmp_path / "other", 0.3, 1)
    project.moleflow("label", day, other, "--product", "bolt", "--normal")
    project.edit(recalibrations={"bolt": str(day)})
    project.run("check", "index", "extract", "statistics", "score", "recalibrate", "evaluate")
    assert project.metrics("classes")["bolt"]["feedback_images"] == 7
    assert project.metrics("classes")["bolt"]["feedback_false_alarm_rate"] == 1.0
