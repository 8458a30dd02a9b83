"""`moleflow predict`: through the real command, on what a small pipeline left."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from projects import ROOT, Project, save

from moleflow.cli.main import main
from moleflow.inspections.asked import AskedError, asked_images
from moleflow.inspections.pictures import file_names, in_image
from moleflow.inspector import Inspector

RATE = 0.3  # few calibration images


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project.of_small_products(tmp_path_factory.mktemp("pipeline"))
    made.edit(alarm_rate=RATE, reject_rate=0.0)
    made.run()
    return made


@pytest.fixture
def raw(project, monkeypatch):
    """The folder of images, in the repository's top folder."""
    monkeypatch.chdir(project.root)
    return project.root / "data/raw/small"


def predict(monkeypatch, *arguments):
    """Runs the command; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["moleflow", "predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_row_says_what_the_inspector_says(raw, tmp_path, monkeypatch):
    out = tmp_path / "predictions.csv"
    status = predict(monkeypatch, raw / "bolt/test", raw / "nut/test/good/0.png", "--out", out)
    images = [*sorted((raw / "bolt/test").rglob("*.png")), raw / "nut/test/good/0.png"]
    rows, found = rows_of(out), Inspector.load(".").inspect(images)
    assert [row["image"] for row in rows] == [str(image) for image in images]
    for row, each in zip(rows, found, strict=True):
        assert (row["product"], row["alarm"]) == (each.product, str(each.alarm))
        assert float(row["image_score"]) == pytest.approx(each.image_score, rel=1e-5)
        assert float(row["p_value"]) == each.p_value
        assert len(row["artifacts"]) == 64
    assert status == int(any(each.alarm for each in found))


def test_json_lines_say_the_same(raw, tmp_path, monkeypatch):
    for name in ("a.csv", "a.jsonl"):
        predict(monkeypatch, raw / "bolt/test/good", "--product", "bolt", "--out", tmp_path / name)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [str(line["p_value"]) for line in lines] == [row["p_value"] for row in rows_of(tmp_path / "a.csv")]
    assert lines[0]["routing_margin"] is None


def test_an_unreadable_image_costs_no_other_and_wins_over_an_alarm(raw, tmp_path, monkeypatch):
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "good.png").write_bytes((raw / "bolt/test/good/0.png").read_bytes())
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    save(tmp_path / "noise.png", noise)
    assert predict(monkeypatch, tmp_path / "noise.png", "--product", "bolt") == 1
    out = tmp_path / "p.csv"
    asked = [tmp_path / name for name in ("broken.png", "noise.png", "good.png", "missing.png", "x" * 300)]
    assert predict(monkeypatch, *asked, "--product", "bolt", "--out", out) == 2
    broken, alarm, good, missing, long = rows_of(out)
    assert all(row["reason"] for row in (broken, missing, long))
    assert (alarm["alarm"], good["product"]) == ("True", "bolt")


def test_an_unknown_product_is_said_and_not_judged(project, raw, tmp_path, monkeypatch):
    project.edit(reject_rate=0.2)
    project.run("check", "route")
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    save(tmp_path / "noise.png", noise)
    out = tmp_path / "p.csv"
    assert predict(monkeypatch, tmp_path / "noise.png", "--out", out, "--masks", tmp_path / "masks") == 2
    (row,) = rows_of(out)
    assert (row["product"], row["alarm"]) == ("unknown", "")
    assert not (tmp_path / "masks").exists()


def test_too_few_normal_images_are_no_all_clear(project, raw, tmp_path, monkeypatch):
    project.edit(alarm_rate=0.001)
    project.run("check", "score")
    out = tmp_path / "p.csv"
    assert predict(monkeypatch, raw / "bolt/test/good/0.png", "--product", "bolt", "--out", out) == 2
    (row,) = rows_of(out)
    assert "too few normal images" in row["reason"]
    project.edit(alarm_rate=RATE)
    project.run("check", "score")


def test_pictures_have_the_size_and_orientation_of_the_image(raw, tmp_path, monkeypatch):
    pixels = Image.fromarray(np.asarray(Image.open(raw / "bolt/test/good/0.png"))).resize((80, 40))
    exif = pixels.getexif()
    exif[274] = 6  # to be turned by a quarter
    pixels.save(tmp_path / "turned.png", exif=exif)
    folders = (tmp_path / "maps", tmp_path / "masks")
    predict(monkeypatch, tmp_path / "turned.png", "--product", "bolt", "--maps", folders[0], "--masks", folders[1])
    values = np.load(folders[0] / "turned.npy")
    assert values.shape == (80, 40)
    (found,) = Inspector.load(".").inspect([tmp_path / "turned.png"], product="bolt")
    mask = np.asarray(Image.open(folders[1] / "turned.png"))
    np.testing.assert_array_equal(mask > 0, values > found.pixel_threshold)
    assert np.asarray(Image.open(folders[0] / "turned.png")).shape == (80, 40, 3)


def test_a_map_of_a_crop_lies_where_the_backbone_looked():
    anomaly = np.ones((10, 10), np.float32)
    wide = in_image(anomaly, (60, 20), "crop")
    assert wide.shape == (20, 60)
    assert (wide[:, 20:40] == 1).all()
    assert wide[:, :20].sum() == wide[:, 40:].sum() == 0
    assert (in_image(anomaly, (60, 20), "stretch") == 1).all()


def test_pictures_replace_neither_images_nor_each_other(raw, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "photos"
    shutil.copytree(raw / "bolt/test/good", folder)
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    both = ("--maps", tmp_path / "o", "--masks", tmp_path / "o")
    for options in (("--masks", folder), ("--maps", folder), both):
        assert predict(monkeypatch, folder, "--product", "bolt", *options) == 3
    assert {path: path.read_bytes() for path in folder.iterdir()} == kept
    assert capsys.readouterr().err.count("choose other folders for pictures") == 3
    monkeypatch.chdir(folder)
    asked = ("../photos/0.png", "1.png", "--source", raw.parents[2], "--product", "bolt", "--masks", "sub")
    assert predict(monkeypatch, *asked) in (0, 1)
    assert sorted(path.name for path in (folder / "sub").iterdir()) == ["0.png", "1.png"]


def test_what_was_said_is_not_lost_if_a_picture_fails(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("moleflow.inspections.pictures._save", full)
    out = tmp_path / "p.csv"
    asked = (raw / "bolt/test/good", "--product", "bolt", "--masks", tmp_path / "masks", "--out", out)
    assert predict(monkeypatch, *asked) == 3
    assert len(rows_of(out)) == 1
    assert "0.png cannot be written ([Errno 28] No space left on device); make room" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["nan", "-1", "0"])
def test_a_limit_that_is_none_is_refused(raw, monkeypatch, capsys, limit):
    assert predict(monkeypatch, raw / "bolt/test/good", "--max-megapixels", limit) == 3
    assert f"{limit} is not above 0" in capsys.readouterr().err


def test_an_image_that_goes_while_it_is_judged_takes_no_other_with_it(raw, tmp_path, monkeypatch, capsys):
    photos = shutil.copytree(raw / "bolt/test/good", tmp_path / "photos")
    names = sorted(path.name for path in photos.iterdir())
    inspect = Inspector.inspect

    def and_remove(*arguments, **options):
        found = inspect(*arguments, **options)
        (photos / names[1]).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Inspector, "inspect", and_remove)
    out, masks = tmp_path / "p.csv", tmp_path / "masks"
    assert predict(monkeypatch, photos, "--product", "bolt", "--masks", masks, "--out", out) == 2
    assert len(rows_of(out)) == len(names)
    assert sorted(path.name for path in masks.iterdir()) == [name for name in names if name != names[1]]
    assert f"warning: no map or mask of {photos / names[1]}" in capsys.readouterr().err


def full(*_):
    raise OSError(28, "No space left on device")


def test_predictions_of_another_day_stay_if_nothing_is_judged(raw, tmp_path, monkeypatch):
    image, out = raw / "bolt/test/good/0.png", tmp_path / "p.csv"
    out.write_text("of another day")
    assert predict(monkeypatch, image, "--product", "screw", "--out", out) == 3
    assert predict(monkeypatch, image, "--source", tmp_path, "--out", out) == 3
    assert out.read_text() == "of another day"


def test_a_place_that_takes_no_file_is_refused_before_the_model_is_loaded(raw, tmp_path, monkeypatch, capsys):
    (tmp_path / "x.csv").mkdir()
    (tmp_path / "x.csv/kept").write_text("")
    (tmp_path / "masks/0.png").mkdir(parents=True)
    image = raw / "bolt/test/good/0.png"
    monkeypatch.setattr(Inspector, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    for option, place in (
        ("--out", tmp_path / "x.csv"), ("--out", image / "x.csv"), ("--maps", image), ("--masks", tmp_path / "masks"),
    ):  # fmt: skip
        assert predict(monkeypatch, image, option, place) == 3
        said = capsys.readouterr().err
        assert str(place) in said
        assert "Traceback" not in said
    assert (tmp_path / "x.csv/kept").exists()


def test_predictions_that_cannot_be_written_are_printed(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("moleflow.files.artifacts.write_text", full)
    out = tmp_path / "p.csv"
    assert predict(monkeypatch, raw / "bolt/test/good", "--product", "bolt", "--out", out) == 3
    said = capsys.readouterr()
    assert len(list(csv.DictReader(said.out.splitlines()))) == 4
    assert (
        f"error: --out {out} cannot be written ([Errno 28] No space left on device); the predictions were" in said.err
    )


def test_files_are_named_like_their_images(tmp_path):
    images = [tmp_path / name for name in ("a/0.png", "b/0.png", "b/0.jpg")]
    names = [str(name) for name in file_names(images).values()]
    assert names == ["a/0", "b/0.png", "b/0.jpg"]


def test_images_are_named_in_many_ways(raw):
    folder = raw / "bolt/test/good"
    whole = sorted(folder.iterdir())
    assert asked_images([str(folder)], []) == whole
    assert asked_images([f"{folder}/*.png"], []) == whole
    assert asked_images([f"{raw}/bo*/test/good"], []) == whole
    assert asked_images(["-", str(whole[0])], [f"{whole[1]}\n", "\n", f"{whole[0]}\n"]) == [whole[1], whole[0]]
    assert asked_images(["-"], ["img[1].png\n"]) == [Path("img[1].png")]
    assert asked_images([str(whole[0]), f"{folder}/../good/{whole[0].name}"], []) == [whole[0]]
    for nothing in ([f"{folder}/*.jpg"], ["-"], [str(raw / "bolt/none*")]):
        with pytest.raises(AskedError):
            asked_images(nothing, [])


def test_a_command_that_fails_has_its_own_status(raw, tmp_path, monkeypatch, capsys):
    image = raw / "bolt/test/good/0.png"
    assert predict(monkeypatch) == 3
    assert predict(monkeypatch, image, "--product", "screw") == 3
    assert predict(monkeypatch, image, "--out", tmp_path / "p.xlsx") == 3
    assert predict(monkeypatch, image, "--source", tmp_path) == 3
    assert predict(monkeypatch, image, "--foo") == 3
    assert "product 'screw' is not known" in capsys.readouterr().err


def test_help_and_version_load_neither_torch_nor_timm():
    for option in ("--help", "--version"):
        code = f"import sys; sys.argv = ['moleflow', '{option}']; from moleflow.cli.main import main\ntry: main()\n"
        code += "except SystemExit: print(sorted({'torch', 'timm', 'numpy', 'dvc'} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
        assert done.stdout.splitlines()[-1] == "[]"
