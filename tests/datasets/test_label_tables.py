"""Labels in a table, labels.csv or VisA's: read as they are written, and refused where they contradict each other."""

import pytest
from trees import index, tree_visa, with_labels

from moleflow.datasets.sample import DatasetError
from moleflow.images.decoding import ImageError


def test_labels_may_come_from_a_csv(tmp_path):
    table = index(with_labels(tmp_path / "bolt"), "folder")
    test = table[table.split == "test"]
    assert test.defect.tolist() == ["good", "good", "defect", "crack", "crack"]
    assert test.label.tolist() == [0, 0, 1, 1, 1]
    assert (test["mask"] != "").tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("separator", [";", "\t"], ids=["semicolons", "tabs"])
def test_a_spreadsheets_csv_is_read_as_well(tmp_path, separator):
    file = with_labels(tmp_path / "bolt") / "labels.csv"
    expected = index(tmp_path / "bolt", "folder")
    file.write_text(file.read_text().replace(",", separator), encoding="utf-8-sig", newline="\r\n")
    assert index(tmp_path / "bolt", "folder").equals(expected)


@pytest.mark.parametrize(("layout", "csv"), [("folder", "bolt/labels.csv"), ("visa", "split_csv/1cls.csv")])
def test_a_csv_may_write_paths_with_backslashes(tmp_path, layout, csv):
    (with_labels if layout == "folder" else tree_visa)(tmp_path / "bolt")
    file, expected = tmp_path / csv, index(tmp_path / "bolt", layout)
    assert "/" in file.read_text()
    file.write_text(file.read_text().replace("/", "\\"))
    assert index(tmp_path / "bolt", layout).equals(expected)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("image,label", "picture,label", "lacks the column image; it has picture, label, mask, defect"),
        ("test/001.png,good,,\n", "", r"test/001\.png has no line in .*labels\.csv"),
        ("test/001.png,good", "test/001.png,", r"label '' is unknown; normal images may be called"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, old, new, said):
    with_labels(tmp_path / "bolt")
    path = tmp_path / "bolt/labels.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=said):
        index(tmp_path / "bolt", "folder")


UNREADABLE = [b"", "image,label\nä,1\n".encode("latin-1"), b"image,label\na,1,2,3\nb\n"]


@pytest.mark.parametrize("content", UNREADABLE, ids=["empty", "latin-1", "ragged"])
def test_csv_that_cannot_be_read_is_named(tmp_path, content):
    (with_labels(tmp_path / "bolt") / "labels.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"labels\.csv"):
        index(tmp_path / "bolt", "folder")


def test_image_listed_twice_is_refused(tmp_path):
    path = with_labels(tmp_path / "bolt") / "labels.csv"
    path.write_text(path.read_text() + "test/000.png,1,\n")
    with pytest.raises(DatasetError, match=r"test/000\.png is listed more than once"):
        index(tmp_path / "bolt", "folder")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("image,label,Mask,defect", "unknown column Mask; known are image, label, mask, defect"),
        ("image,label,mask ,defect_type", "unknown column defect_type"),
        ("image,label,mask,mask ", "two columns mask"),
        ("image,label,mask,", "a column without a name"),
    ],
)
def test_no_column_is_left_out_in_silence(tmp_path, header, said):
    path = with_labels(tmp_path / "bolt") / "labels.csv"
    path.write_text(path.read_text().replace("image,label,mask,defect", header))
    with pytest.raises(DatasetError, match=said):
        index(tmp_path / "bolt", "folder")


def test_blanks_in_a_header_and_empty_columns_without_a_name_do_not_matter(tmp_path):
    path = with_labels(tmp_path / "bolt") / "labels.csv"
    expected = index(tmp_path / "bolt", "folder")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([" image ,label , mask,defect,", *(f"{line}," for line in lines[1:])]))
    assert index(tmp_path / "bolt", "folder").equals(expected)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ng,masks/3.png,crack", "ng,masks/3.png,good", r"labeled 'ng', defective, with the defect 'good'"),
        ("masks/3.png", "test/000.png", r"the mask of .*003\.png, .*000\.png, is listed as an image"),
    ],
)
def test_labels_that_contradict_each_other_are_refused(tmp_path, old, new, said):
    path = with_labels(tmp_path / "bolt") / "labels.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=said):
        index(tmp_path / "bolt", "folder")


def test_an_accent_may_be_written_in_two_ways_and_a_path_may_make_detours(tmp_path):
    path = with_labels(tmp_path / "bolt") / "labels.csv"
    expected = index(tmp_path / "bolt", "folder")
    (tmp_path / "bolt/test/000.png").rename(tmp_path / "bolt/test/e\u0301.png")
    path.write_text(path.read_text().replace("test/000.png", "./test/\u00e9.png"), encoding="utf-8")
    (tmp_path / "other").mkdir()
    table = index(tmp_path / "other/../bolt", "folder")
    assert sorted(table.content) == sorted(expected.content)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("object,", "product,", "lacks the column object"),
        ("\nbolt,", "\nnut,", "has no object 'bolt'; it has other, nut"),
        ("test,anomaly", "test,strange", "label 'strange' is unknown; it may be normal or anomaly"),
        ("test,anomaly", "train,anomaly", r"000\.JPG, .* is an anomaly in split train"),
        ("Normal/0003", "Normal/0777", r"0777\.JPG: not a readable image"),
    ],
)
def test_wrong_visa_csv_is_refused(tmp_path, old, new, said):
    tree_visa(tmp_path / "bolt")
    path = tmp_path / "split_csv/1cls.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises((DatasetError, ImageError), match=said):
        index(tmp_path / "bolt", "visa")
