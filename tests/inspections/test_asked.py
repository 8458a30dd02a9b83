"""Which images are asked for, and what is left out."""

from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from PIL import Image

from moleflow.inspections.asked import AskedError, asked_images


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / "a.png")
    return folder


def test_nothing_is_left_out_in_silence(photos, tmp_path, capsys):
    assert asked_images([str(photos)], []) == [photos / "a.png"]
    assert capsys.readouterr().err == ""
    for name in ("b.heic", "c.heic", "scan", ".hidden"):
        (photos / name).write_bytes((photos / "a.png").read_bytes())
    (tmp_path / "other").mkdir()
    (photos / "linked").symlink_to(tmp_path / "other")
    pages = [Image.new("L", (8, 8), level) for level in (0, 100, 200)]
    pages[0].save(photos / "pages.tiff", save_all=True, append_images=pages[1:])
    pages[0].save(photos / "moving.GIF", save_all=True, append_images=pages[1:])
    (photos / "broken.gif").write_text("no image")
    names = ["a.png", "broken.gif", "moving.GIF", "pages.tiff"]
    assert asked_images([str(photos)], []) == [photos / name for name in names]
    assert capsys.readouterr().err.splitlines() == [
        f"note: files left out, as their suffix is no image's: 3; the first is {photos / 'b.heic'}",
        f"note: links to folders left out: 1; the first is {photos / 'linked'}; name it to have its images",
        f"note: files of several pictures, of which the first is used: 2; {photos / 'moving.GIF'} has 3",
    ]


def test_what_a_folder_without_images_holds_is_named(photos, tmp_path):
    (tmp_path / "only").mkdir()
    (tmp_path / "only/link").symlink_to(photos)
    for name in ("only", "onl*"):
        with pytest.raises(AskedError, match=r"links to folders left out: 1; the first is .*only/link; name it"):
            asked_images([str(tmp_path / name)], [])
    assert asked_images([str(tmp_path / "only/link")], []) == [tmp_path / "only/link/a.png"]


def test_a_name_that_no_file_can_have_costs_no_other(photos, monkeypatch):
    long = photos / ("x" * 300)
    assert asked_images([str(long), str(photos)], []) == [long, photos / "a.png"]
    assert asked_images(["-"], [f"{long}\n"]) == [long]


def test_names_on_the_standard_input_may_be_no_text():
    lines = TextIOWrapper(BytesIO(b"a\xff.png\n"), encoding="utf-8")
    assert asked_images(["-"], lines) == [Path("a\udcff.png")]
