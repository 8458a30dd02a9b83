"""6 and 7. Suffixes, folders below, hidden and system files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import index, labeled, notes, picture

from moleflow.images.listing import image_suffixes
from moleflow.images.reading import read_image, read_mask


@pytest.mark.parametrize("suffix", [".webp", ".pgm", ".jfif", ".jp2", ".PNG", ".JPeG", ".tif", ".gif", ".avif"])
def test_06_whatever_the_image_library_reads_is_read(tree, suffix):
    assert suffix.lower() in image_suffixes()
    path = tree / f"train/good/more{suffix}"
    pixels = np.full((16, 20), 90, np.uint8)
    pixels[:, 10:] = 200
    Image.fromarray(pixels).save(path)
    table = index(tree)
    assert path.as_posix() in table.path.tolist()
    assert np.abs(np.asarray(read_image(path, white=None)).mean(2) - pixels).max() < 12  # some formats lose a little


def test_06_images_in_folders_below_are_read_with_the_masks_of_their_names(tree):
    first = picture(tree / "train/good/monday/0.png", 300)
    second = picture(tree / "test/dent/line2/0.png", 301)
    mask = np.zeros((16, 20), np.uint8)
    mask[:5] = 255
    (tree / "ground_truth/dent/line2").mkdir()
    Image.fromarray(mask).save(tree / "ground_truth/dent/line2/0_mask.png")
    table = index(tree).set_index("path")
    np.testing.assert_array_equal(np.asarray(read_image(tree / "train/good/monday/0.png", white=None)), first)
    row = table.loc[(tree / "test/dent/line2/0.png").as_posix()]
    assert row.defect == "dent"
    np.testing.assert_array_equal(np.asarray(read_image(Path(row.name), white=None)), second)
    np.testing.assert_array_equal(np.asarray(read_mask(Path(row["mask"]))), mask)
    own = np.asarray(read_mask(Path(table.loc[(tree / "test/dent/0.png").as_posix(), "mask"])))
    assert own[0, 3] == 255  # not that of the other 0.png
    assert own[0, 0] == 0
    assert len(table) == 17


def test_06_what_is_left_out_is_named(tree):
    (tree / "readme.txt").write_text("about")
    (tree / "extra").mkdir()
    picture(tree / "extra/a.png", 400)
    picture(tree / "extra/b.png", 401)
    assert notes(tree) == [
        f"2 files extra/*.png left out, neither images nor masks of this layout; the first is {tree}/extra/a.png",
        f"1 files *.txt left out, neither images nor masks of this layout; the first is {tree}/readme.txt",
    ]


@pytest.mark.parametrize("name", ["._0.png", "Thumbs.db", ".DS_Store", "desktop.ini", "__MACOSX/0.png", ".cache/0.png"])
@pytest.mark.parametrize("folder", ["train/good", "test/good", "test/dent", "test", "ground_truth/dent", "."])
def test_07_hidden_and_system_files_are_as_if_they_were_not_there(tree, folder, name):
    before = index(tree)
    path = tree / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"of a system")
    assert index(tree).equals(before)
    assert notes(tree) == []


def test_07_files_beside_labels_are_no_images(tmp_path):
    root = labeled(tmp_path / "bolt", ["ok", "ng"])
    before = index(root, "folder")
    for name in ("notes.txt", "test/notes.txt", "test/._0.png", "test/Thumbs.db"):
        (root / name).write_text("not an image")
    assert index(root, "folder").equals(before)
    assert [note.split(" left out")[0] for note in notes(root, "folder")] == ["1 files *.txt", "1 files test/*.txt"]
