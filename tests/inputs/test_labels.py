"""5. Words for labels in labels.csv."""

from pathlib import Path

import pytest
from samples import save_mask
from trees import index, labeled, picture

from moleflow.datasets.sample import DatasetError


def test_05_words_for_normal_and_defective_in_any_case(tmp_path):
    normal, defective = (
        ["False", "pass", "OK", "Good", "0", "NORMAL", "negative"],
        ["TRUE", "fail", "NG", "nok", "1", "Anomaly", "bad"],
    )
    table = index(labeled(tmp_path / "bolt", [*normal, *defective]), "folder")
    test = table[table.split == "test"]
    assert test.label.tolist() == [0] * 7 + [1] * 7
    assert test.defect.tolist() == ["good"] * 7 + ["defect"] * 7


def test_05_other_words_are_refused_all_at_once(tmp_path):
    root = labeled(tmp_path / "bolt", ["ok", "scratch", "maybe", "scratch"])
    with pytest.raises(
        DatasetError, match=r"labels\.csv: label 'maybe', 'scratch' is unknown; normal .* column of their own, defect"
    ):
        index(root, "folder")


def test_05_kinds_of_defect_have_a_column_of_their_own(tmp_path):
    root = labeled(tmp_path / "bolt", ["ok,", "ng,scratch", "ng,", "NG,dent"], "image,label,defect")
    table = index(root, "folder")
    assert table[table.split == "test"].defect.tolist() == ["good", "scratch", "defect", "dent"]
    with pytest.raises(DatasetError, match=r"test/0\.png is labeled 'ok', normal, with the defect 'scratch'; correct"):
        index(labeled(tmp_path / "nut", ["ok,scratch", "ng,dent"], "image,label,defect"), "folder")


@pytest.mark.parametrize("name", ["images/1.png", "{absolute}/test/1.png"])
def test_05_a_line_that_names_no_file_is_told_where_an_image_seems_to_have_no_line(tmp_path, monkeypatch, name):
    root = labeled(tmp_path / "bolt", ["ok", "ng"])
    text = (root / "labels.csv").read_text()
    given = name.format(absolute=root)
    (root / "labels.csv").write_text(text.replace("test/1.png", given))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError) as error:
        index(Path("bolt"), "folder")
    assert str(error.value) == (
        f"bolt/labels.csv: 1 of 2 lines name no image of bolt, the first is {given!r}; write them like test/1.png, "
        "which has no line"
    )


@pytest.mark.parametrize(
    ("columns", "line", "said"),
    [
        ("image,label", ",ok", r"labels\.csv: 1 of 3 lines name no image; fill in"),
        ("label,image", "ok", r"labels\.csv: 1 of 3 lines name no image; fill in"),
        ("image,label,label", "test/9.png,ok,ng", r"labels\.csv has two columns label; remove or rename one"),
        ("image,label,mask,mask", "test/9.png,ng,,", r"labels\.csv has two columns mask"),
        (
            "image,label,mask",
            "test/9.png,ok,test/0.png",
            r"its mask 'test/0\.png' is missing or not black",
        ),
        ("image,label,mask", "test/9.png,ng,test", r"the mask 'test' of test/9\.png is a folder; write the file"),
        ("image,label,mask", "test/9.png,ng,.", r"the mask '\.' of test/9\.png is a folder"),
    ],
)
def test_05_a_line_that_says_nothing_or_two_things_is_refused(tmp_path, columns, line, said):
    root = labeled(tmp_path / "bolt", ["ok", "ng"])
    picture(root / "test/9.png", 9)
    more = "," * (columns.count(",") - 1)
    rows = [f"test/0.png,ok{more}", f"test/1.png,ng{more}"]
    if columns.startswith("label"):
        rows = ["ok,test/0.png", "ng,test/1.png"]
    (root / "labels.csv").write_text("\n".join([columns, *rows, line]) + "\n")
    with pytest.raises(DatasetError, match=said):
        index(root, "folder")


def test_05_a_black_mask_of_a_normal_image_says_nothing(tmp_path):
    root = labeled(tmp_path / "bolt", ["ok", "ng"])
    save_mask(root / "masks/0.png", value=0)
    (root / "labels.csv").write_text("image,label,mask\ntest/0.png,ok,masks/0.png\ntest/1.png,ng,\n")
    table = index(root, "folder")
    assert (table["mask"] == "").all()
