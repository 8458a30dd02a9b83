"""11. The same picture twice."""

from pathlib import Path

import pytest
from PIL import Image
from trees import index, notes

from moleflow.datasets.sample import DatasetError


def copied(root, *pairs):
    """Each second file becomes the first one's picture, in other bytes: another format, and turned by its metadata."""
    for number, (source, target) in enumerate(pairs):
        with Image.open(root / source) as image:
            upright = image.copy()
        (root / target).unlink(missing_ok=True)
        if number % 2:
            exif = Image.Exif()
            exif[0x0112] = 3
            upright.transpose(Image.Transpose.ROTATE_180).save(root / target, exif=exif)
        else:
            upright.save(root / target)


def test_11_all_copies_in_several_splits_are_named_at_once(tree):
    pairs = [("train/good/1.png", "test/good/0.png"), ("train/good/2.png", "test/good/1.png")]
    copied(tree, *pairs, ("train/good/3.png", "test/dent/2.png"))
    with pytest.raises(DatasetError, match=r"keep one of each, or set duplicates: drop: ") as error:
        index(tree)
    assert str(error.value).count(" = ") == 3
    for number in (1, 2, 3):
        assert f"train/good/{number}.png (" in str(error.value)


def test_11_drop_takes_the_training_copy_then_the_calibration_copy_never_the_tests(tree):
    before = index(tree)
    splits = dict(zip(before.path, before.split, strict=True))
    held_out = [path for path, split in splits.items() if split == "calibration"]
    learned = [path for path, split in splits.items() if split == "train"]
    relative = lambda path: Path(path).relative_to(tree)  # noqa: E731
    copied(
        tree,
        (relative(learned[0]), "test/good/0.png"),  # train and test
        (relative(held_out[0]), "test/good/1.png"),  # calibration and test
        (relative(held_out[1]), relative(learned[1])),  # train and calibration
        (relative(learned[2]), relative(learned[3])),  # within train
        ("test/dent/0.png", "test/dent/1.png"),  # within test: both stay
    )
    table, said = index(tree, duplicates="drop"), notes(tree, duplicates="drop")
    gone = set(before.path) - set(table.path)
    assert gone == {learned[0], held_out[0], learned[1], learned[3]}
    assert dict(zip(table.path, table.split, strict=True)) == {
        path: split for path, split in splits.items() if path not in gone
    }
    assert said[0].startswith("4 copies of other pictures dropped: ")
    assert all(path in said[0] for path in gone)


def test_11_copies_within_train_are_said_where_they_are_not_dropped(tree):
    table = index(tree)
    first, second = table[table.split == "train"].path[:2]
    copied(tree, (Path(first).relative_to(tree), Path(second).relative_to(tree)))
    assert len(index(tree)) == len(table)
    assert notes(tree) == [
        f"the same picture twice; duplicates: drop would keep one: {first} (train) = {second} (train)"
    ]


@pytest.mark.parametrize("duplicates", ["refuse", "drop"])
@pytest.mark.parametrize("normal", ["train/good/1.png", "test/good/1.png"])
def test_11_a_picture_that_is_normal_and_defective_is_refused_whatever_duplicates_says(tree, normal, duplicates):
    copied(tree, (normal, "test/dent/2.png"))
    with pytest.raises(DatasetError, match=r"labeled normal and defective; keep the one that is right: ") as error:
        index(tree, duplicates=duplicates)
    assert {f"{tree}/{normal}", f"{tree}/test/dent/2.png"} < set(str(error.value).split())
