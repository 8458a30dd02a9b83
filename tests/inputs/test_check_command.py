"""`moleflow check`: the gate alone, everything at once."""

import numpy as np
import pytest
from PIL import Image
from projects import Project

from moleflow.cli.main import main


@pytest.fixture
def project(tmp_path, monkeypatch):
    made = Project.of_small_products(tmp_path / "repository")
    monkeypatch.chdir(made.root)
    return made


def check(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["moleflow", "check", *arguments])
    main()


def test_it_says_what_there_is_of_every_product(project, monkeypatch, capsys):
    check(monkeypatch)
    said = capsys.readouterr().out
    for product in ("bolt", "nut", "washer"):
        assert (
            f"{product}\n  images: 16 to learn from, 4 for calibration, 4 normal and 4 defective ones to test\n" in said
        )
    assert said.count("  sizes: 48×48\n  values: 8 bits\n  masks: 4 of 4 defective images have one\n") == 3
    assert said.count("  kinds of defect: hole\n  the same picture twice: never\n") == 3
    assert not (project.root / "data/check").exists()  # nothing is written


def test_it_says_everything_that_is_wrong_at_once(project, monkeypatch, capsys):
    raw = project.root / "data/raw/small"
    (raw / "bolt/train/good/3.png").write_text("no image")
    (raw / "bolt/train/good/4.png").write_text("no image")
    (raw / "washer").rename(raw / "elsewhere")
    params = project.params()
    params["classes"]["nut"]["bit_depth"] = 9
    project.edit(classes=params["classes"], top_k="three")
    with pytest.raises(SystemExit) as error:
        check(monkeypatch)
    said = str(error.value)
    for part in (
        "top_k: Input should be a valid integer",
        "data/raw/small/bolt has 2 mistakes:",
        "3.png: not a readable image",
        "4.png: not a readable image",
        "washer: data/raw/small/washer does not exist",
    ):
        assert part in said
    assert "Traceback" not in said
    project.edit(top_k=1)
    with pytest.raises(
        SystemExit, match=r"classes\.nut\.bit_depth: Input should be 'auto', 8, 10, 12, 14 or 16, not 9"
    ):
        check(monkeypatch)


def test_a_folder_that_is_not_listed_can_be_checked(project, tmp_path, monkeypatch, capsys):
    (project.root / "data/raw/small/bolt").rename(tmp_path / "größe")
    values = np.linspace(0, 2999, 48 * 48).reshape(48, 48).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "größe/train/good/deep.png")
    check(monkeypatch, str(tmp_path / "größe"), "--layout", "mvtec")
    said = capsys.readouterr().out
    assert said.startswith("größe\n  images: 17 to learn from, 4 for calibration")
    assert "values: 8 bits (28), 16 bits (1); the largest is 2999, and 4095 is white" in said
    with pytest.raises(SystemExit, match="layout: 'pcb' is unknown; choose one of mvtec, btad"):
        check(monkeypatch, str(tmp_path / "größe"), "--layout", "pcb")
    for one in ((str(tmp_path / "größe"),), ("--layout", "mvtec")):
        with pytest.raises(
            SystemExit, match="a folder and its layout go together, as in: moleflow check /data/bottle --layout mvtec"
        ):
            check(monkeypatch, *one)
    (tmp_path / "größe").rename(tmp_path / "my bottle.v2")  # no name of a product, but a folder may have it
    check(monkeypatch, str(tmp_path / "my bottle.v2"), "--layout", "mvtec")
    assert capsys.readouterr().out.startswith("my bottle.v2\n")
    with pytest.raises(SystemExit, match="nowhere does not exist"):
        check(monkeypatch, str(tmp_path / "nowhere"), "--layout", "mvtec")


def test_what_is_kept_of_listed_products_is_none_of_a_given_folders(project, tmp_path, monkeypatch, capsys):
    (tmp_path / "elsewhere").mkdir()
    bolt = (project.root / "data/raw/small/bolt").rename(tmp_path / "elsewhere/nut")  # called like another product
    labeled = project.root / "data/feedback/nut/normal/0.png"
    labeled.parent.mkdir(parents=True)
    labeled.write_bytes((bolt / "train/good/0.png").read_bytes())
    project.edit(recalibrations={"bolt": str(bolt / "test/good")})
    check(monkeypatch, str(bolt), "--layout", "mvtec")
    assert capsys.readouterr().out.startswith("nut\n  images: 16 to learn from")


def test_a_products_own_line_decides(project, monkeypatch, capsys):
    raw = project.root / "data/raw/small"
    (raw / "bolt/test/good/9.png").write_bytes((raw / "bolt/train/good/3.png").read_bytes())
    (raw / "bolt/train/good/5.png").write_text("no image")
    params = project.params()
    params["classes"]["bolt"] |= {"duplicates": "drop", "unreadable": "drop", "bit_depth": 12}
    project.edit(classes=params["classes"])
    check(monkeypatch)
    said = capsys.readouterr().out
    assert "left out: 2 images\n" in said
    assert "the same picture twice: 1 pictures" in said
    project.run("check", "index")
    assert "4095.0" in (project.root / "data/index/bolt.csv").read_text()
    assert "4095.0" not in (project.root / "data/index/nut.csv").read_text()
    project.edit(classes={**params["classes"], "bolt": {**params["classes"]["bolt"], "duplicates": "keep"}})
    with pytest.raises(SystemExit, match=r"classes\.bolt\.duplicates: 'keep' is unknown; choose one of refuse, drop"):
        check(monkeypatch)
