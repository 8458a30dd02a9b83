"""Labeled images that would not count, or that no table can hold, are named."""

import os
from pathlib import Path

import pytest
from samples import save_image
from trees import index

from moleflow.datasets.feedback import feedback_mistakes
from moleflow.datasets.sample import DatasetError


@pytest.fixture
def feedback(tmp_path):
    """One labeled image of bolt."""
    save_image(tmp_path / "feedback/bolt/normal/a.png", seed=900)
    return tmp_path / "feedback"


def test_labeled_images_are_right(feedback):
    assert feedback_mistakes(feedback, ["bolt"]) == []


@pytest.mark.parametrize("link", ["normal/day1", "defective/hole", "defective"])
def test_a_linked_folder_is_named(feedback, tmp_path, link):
    save_image(tmp_path / "day1/b.png", seed=901)
    place = feedback / "bolt" / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "day1")
    assert feedback_mistakes(feedback, ["bolt"]) == [
        f"{place} is a link to a folder, whose images would not count; put the folder itself there"
    ]


def test_a_link_that_leads_nowhere_is_named(feedback):
    link = feedback / "bolt/normal/b.png"
    link.symlink_to("elsewhere.png")
    assert feedback_mistakes(feedback, ["bolt"]) == [f"{link} leads to a file that does not exist; remove the link"]


def test_a_file_in_place_of_a_products_folder_is_named(feedback):
    (feedback / "nut").touch()
    assert feedback_mistakes(feedback, ["bolt", "nut"]) == [
        f"{feedback / 'nut'} is no folder; move it elsewhere, since images of nut are labeled in its place"
    ]


@pytest.mark.parametrize("name", [b"gr\xfc.png", b"a\rb.png", b"mon\rday/a.png"])
def test_a_name_that_no_table_can_hold_is_named(feedback, product, name):
    save_image(Path(os.fsdecode(os.fsencode(feedback / "bolt/normal") + b"/" + name)), seed=902)
    (said,) = feedback_mistakes(feedback, ["bolt"])
    assert "file's name" in said
    with pytest.raises(DatasetError, match="file's name"):
        index(product, feedback=feedback / "bolt")


def test_a_folder_without_permission_is_named(feedback, product, monkeypatch):
    """As root, who runs the tests of some, everything can be read: the system's word is put into its mouth."""
    whole = Path.iterdir

    def iterdir(path):
        if path.name in ("defective", "test"):
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    (feedback / "bolt/defective").mkdir()
    monkeypatch.setattr(Path, "iterdir", iterdir)
    folder = feedback / "bolt/defective"
    said = "cannot be read (Permission denied); change its permissions"
    assert feedback_mistakes(feedback, ["bolt"]) == [f"{folder} {said}"]
    with pytest.raises(DatasetError, match=r"bolt/test cannot be read \(Permission denied\); change its permissions"):
        index(product)


def test_a_folder_that_nobody_may_enter_is_named(product, monkeypatch):
    whole = Path.is_dir

    def is_dir(path):
        if path.name == "good" and path.parent.name == "train":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    with pytest.raises(DatasetError, match=r"train/good cannot be read \(Permission denied\); change its permissions"):
        index(product)
