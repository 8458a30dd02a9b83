"""A product calibrated anew: other thresholds, the same scores, nothing learned, nothing left when it is taken back."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from projects import Project, darker

from moleflow.config.params import ParamsError
from moleflow.files.params_file import remove_product, set_recalibration
from moleflow.files.paths import Paths
from moleflow.files.record_file import read_record
from moleflow.inspector import Inspector
from moleflow.scoring.scorer import load_scorer


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project.of_small_products(tmp_path_factory.mktemp("pipeline"))
    made.edit(reject_rate=0.0, classes={**made.params()["classes"]})
    made.run()
    return made


@pytest.fixture
def folder(project, tmp_path):
    """Bolt's normal images of a darker day."""
    return darker(project, tmp_path, 0.8, 8)


@pytest.mark.parametrize("calibration", ["split", "cross"])
def test_new_images_set_new_thresholds_and_change_no_score(project, folder, tmp_path_factory, capsys, calibration):
    """Bolt is of the first task, which never crosses; nut is of a later one."""
    product = "bolt" if calibration == "split" else "nut"
    copy = project.copy(tmp_path_factory.mktemp(calibration))
    if calibration == "cross":
        copy.edit(calibration="cross")
        copy.run()
    paths = Paths(copy.root)
    kept = {path: path.read_bytes() for path in (paths.scorers.of(product), paths.scores.of(product), paths.base)}
    before = json.loads((paths.metrics / "classes.json").read_text())
    set_recalibration(product, str(folder), paths.params)
    (folder / "camera.txt").touch()
    capsys.readouterr()
    copy.run("check", "recalibrate", "evaluate", "report")
    assert (
        f"note: files left out, as their suffix is no image's: 1; the first is {folder}/camera.txt"
        in capsys.readouterr().err
    )
    assert {path: path.read_bytes() for path in kept} == kept

    old, new = (load_scorer(path)[0] for path in (paths.scorers.of(product), paths.scorer_of(product)))
    assert len(new.unchanged_scores) == 8
    assert new.threshold(0.2) != old.threshold(0.2)
    scores = [read_record(path, "test").arrays for path in (paths.scores.of(product), paths.scores_of(product))]
    for key in ("image_score", "patch_score"):
        np.testing.assert_array_equal(scores[0][key], scores[1][key])
    assert not np.array_equal(scores[0]["p_value"], scores[1]["p_value"])
    after = json.loads((paths.metrics / "classes.json").read_text())
    rank = "image_auroc_own_expert"
    assert after[product][rank] == before[product][rank]
    assert after["washer"] == before["washer"]

    image = sorted((copy.root / f"data/raw/small/{product}/test").rglob("*.png"))[0]
    (found,) = Inspector.load(copy.root).inspect([image], product=product)
    assert found.threshold == new.threshold(0.2)
    assert found.p_value == pytest.approx(scores[1]["p_value"][_row(paths, product, image)])

    copy.edit(recalibrations={})
    copy.run("check", "evaluate")
    assert paths.scorer_of(product) == paths.scorers.of(product)
    assert json.loads((paths.metrics / "classes.json").read_text()) == before


def _row(paths, product, image):
    from moleflow.images.index_table import read_index

    table = read_index(paths.index.of(product))
    listed = table.path[table.split == "test"].tolist()
    return listed.index(image.relative_to(paths.root).as_posix())


def test_what_cannot_be_is_refused(project, folder, tmp_path_factory, capsys):
    copy = project.copy(tmp_path_factory.mktemp("refused"))
    paths = Paths(copy.root)
    for name, given, reason in (("screw", folder, "no such product"), ("bolt", folder / "none", "no folder")):
        copy.edit(recalibrations={name: str(given)})
        with pytest.raises(SystemExit, match=reason):
            copy.run("check")
    for path in sorted(folder.glob("*.png"))[3:]:
        path.unlink()
    (folder / "camera.txt").touch()
    copy.edit(recalibrations={"bolt": str(folder)})
    with pytest.raises(
        SystemExit, match=r"holds 3 images, an alarm_rate of 0\.2 needs 4; files left out, .*camera\.txt"
    ):
        copy.run("check", "recalibrate")
    with pytest.raises(ParamsError, match="lists no product screw"):
        set_recalibration("screw", str(folder), paths.params)
    own = copy.root / "data/raw/small/bolt"
    for split in ("train", "test"):
        saved_again = folder.with_name(split)
        saved_again.mkdir()
        for path in (own / split / "good").glob("*.png"):
            Image.open(path).save(saved_again / f"{path.stem}.bmp")
        for given in (own / split / "good", saved_again):
            copy.edit(recalibrations={"bolt": str(given)})
            with pytest.raises(SystemExit, match="the product's own training or test images"):
                copy.run("check", "recalibrate")
    defect = next((own / "test/hole").glob("*.png"))
    with Image.open(defect) as image:
        image.point(lambda value: value * 0.9).save(folder / "defect.png")
    copy.edit(recalibrations={})
    copy.moleflow("label", folder / "defect.png", "--product", "bolt", "--defective", "hole")
    copy.run("check", "index")
    for number in range(3, 9):
        shutil.copy(own / f"train/good/{number}.png", folder / f"{number}.png")
    copy.edit(recalibrations={"bolt": str(folder)})
    with pytest.raises(
        SystemExit, match=r"defect\.png is labeled as defective, hole \(data/feedback/bolt/defective/hole"
    ):
        copy.run("check", "recalibrate")
    for path in [folder / "defect.png", *(folder / f"{number}.png" for number in range(3, 9))]:
        path.unlink()
    copy.edit(max_megapixels=0.001, recalibrations={"bolt": str(darker(project, folder / "large", 0.8, 6))})
    with pytest.raises(SystemExit, match=r"0\.0 megapixels, more than max_megapixels"):
        copy.run("check", "recalibrate")
    shutil.rmtree(folder / "large")
    copy.edit(max_megapixels=200)
    for number in range(3):
        shutil.copy(folder / "0.png", folder / f"again {number}.png")
    copy.edit(recalibrations={"bolt": str(folder)})
    with pytest.raises(SystemExit, match=r"again 0\.png is the same picture as .*0\.png"):
        copy.run("check", "recalibrate")
    assert not paths.recalibrations.exists() or not list(paths.recalibrations.glob("bolt*"))
    copy.edit(recalibrations={"washer": str(folder)})
    remove_product("washer", paths.params)
    assert copy.params()["recalibrations"] == {}
    shutil.rmtree(copy.root)
