"""5. Words for labels in labels.csv."""

import pytest
from trees import index, labeled

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
