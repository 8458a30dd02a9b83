"""Contamination: some training images are replaced by defective test images, always the same ones, and it is said."""

import pytest
from trees import built, picture


@pytest.fixture
def tree(tmp_path):
    for number in range(20):
        picture(tmp_path / f"train/good/{number}.png", number)
    for number in range(4):
        picture(tmp_path / f"test/good/{number}.png", 100 + number)
        picture(tmp_path / f"test/dent/{number}.png", 200 + number)
    return tmp_path


def test_defective_test_images_take_the_place_of_training_images(tree):
    clean, mixed = built(tree).table, built(tree, contamination=0.125)
    table = mixed.table
    assert (table.split == "train").sum() == (clean.split == "train").sum() == 16
    moved = table[(table.split == "train") & (table.label == 1)]
    assert len(moved) == 2
    assert set(moved.path) <= set(clean.path[clean.label == 1])
    assert set(moved.path).isdisjoint(table.path[table.split == "test"])
    assert (table.split == "calibration").sum() == 4
    assert (table[table.split == "calibration"].label == 0).all()
    assert "contamination: 2 of 16 training images are defective test images" in mixed.overview.notes
    assert (
        mixed.overview.facts["images"] == "16 to learn from, 4 for calibration, 4 normal and 2 defective ones to test"
    )
    assert table.equals(built(tree, contamination=0.125).table)


def test_a_defective_image_stays_in_the_test(tree):
    table = built(tree, contamination=0.9).table
    assert ((table.split == "test") & (table.label == 1)).sum() == 1


def test_none_is_the_product_as_it_is(tree):
    assert built(tree, contamination=0.0).overview.notes == []
