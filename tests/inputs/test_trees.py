"""Odd trees and files, as users of other tools report them: read as a viewer shows them, or refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from moleflow.datasets.index import build_index, left_out
from moleflow.datasets.sample import DatasetError
from moleflow.images.reading import image_pixels, image_suffixes, mask_pixels, read_image, read_mask

RNG = np.random.default_rng(0)


def picture(path, seed=0, size=(20, 16), **options):
    """Writes a random picture and returns its pixels, (H, W, 3)."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


@pytest.fixture
def tree(tmp_path):
    """A product in the layout mvtec: ten training images, two normal and three defective ones with masks."""
    root = tmp_path / "bolt"
    for number in range(10):
        picture(root / f"train/good/{number}.png", number)
    for number in range(2):
        picture(root / f"test/good/{number}.png", 100 + number)
    for number in range(3):
        picture(root / f"test/dent/{number}.png", 200 + number)
        mask = np.zeros((16, 20), np.uint8)
        mask[number : number + 4, 3:9] = 255
        (root / "ground_truth/dent").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(root / f"ground_truth/dent/{number}_mask.png")
    return root


def index(root, layout="mvtec"):
    return build_index(root, layout=layout, calibration_fraction=0.2)


# 4. Links


def test_04_a_linked_folder_below_the_product_is_refused(tree, tmp_path):
    (tree / "train/good").rename(tmp_path / "elsewhere")
    (tree / "train/good").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"train/good: a link to a folder, whose images could change without DVC"):
        index(tree)


def test_04_links_to_files_and_a_linked_product_are_read(tree, tmp_path):
    target = tmp_path / "kept.png"
    (tree / "train/good/3.png").rename(target)
    (tree / "train/good/3.png").symlink_to(target)
    (tmp_path / "link").symlink_to(tree)
    table = index(tmp_path / "link")
    assert len(table) == 15
    np.testing.assert_array_equal(
        np.asarray(read_image(tmp_path / "link/train/good/3.png")), np.asarray(read_image(target))
    )


# 5. Words for labels


def labeled(root, rows, columns="image,label"):
    for number in range(10):
        picture(root / f"normal/{number}.png", number)
    for number in range(len(rows)):
        picture(root / f"test/{number}.png", 100 + number)
    lines = [columns, *(f"test/{number}.png,{row}" for number, row in enumerate(rows))]
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


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


# 6. Suffixes and sub-folders


@pytest.mark.parametrize("suffix", [".webp", ".pgm", ".jfif", ".jp2", ".PNG", ".JPeG", ".tif", ".gif", ".avif"])
def test_06_whatever_the_image_library_reads_is_read(tree, suffix):
    assert suffix.lower() in image_suffixes()
    path = tree / f"train/good/more{suffix}"
    pixels = np.full((16, 20), 90, np.uint8)
    pixels[:, 10:] = 200
    Image.fromarray(pixels).save(path)
    table = index(tree)
    assert path.as_posix() in table.path.tolist()
    assert np.abs(np.asarray(read_image(path)).mean(2) - pixels).max() < 12  # some formats lose a little


def test_06_images_in_folders_below_are_read_with_the_masks_of_their_names(tree):
    first = picture(tree / "train/good/monday/0.png", 300)
    second = picture(tree / "test/dent/line2/0.png", 301)
    mask = np.zeros((16, 20), np.uint8)
    mask[:5] = 255
    (tree / "ground_truth/dent/line2").mkdir()
    Image.fromarray(mask).save(tree / "ground_truth/dent/line2/0_mask.png")
    table = index(tree).set_index("path")
    np.testing.assert_array_equal(np.asarray(read_image(tree / "train/good/monday/0.png")), first)
    row = table.loc[(tree / "test/dent/line2/0.png").as_posix()]
    assert row.defect == "dent"
    np.testing.assert_array_equal(np.asarray(read_image(Path(row.name))), second)
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
    groups = left_out(tree, index(tree))
    assert {group: len(files) for group, files in groups.items()} == {"extra/*.png": 2, "*.txt": 1}
    assert groups["extra/*.png"][0] == tree / "extra/a.png"


# 7. Hidden and system files


@pytest.mark.parametrize("name", ["._0.png", "Thumbs.db", ".DS_Store", "desktop.ini", "__MACOSX/0.png", ".cache/0.png"])
@pytest.mark.parametrize("folder", ["train/good", "test/good", "test/dent", "test", "ground_truth/dent", "."])
def test_07_hidden_and_system_files_are_as_if_they_were_not_there(tree, folder, name):
    before = index(tree)
    path = tree / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"of a system")
    assert index(tree).equals(before)
    assert left_out(tree, before) == {}


def test_07_files_beside_labels_are_no_images(tmp_path):
    root = labeled(tmp_path / "bolt", ["ok", "ng"])
    before = index(root, "folder")
    for name in ("notes.txt", "test/notes.txt", "test/._0.png", "test/Thumbs.db"):
        (root / name).write_text("not an image")
    assert index(root, "folder").equals(before)
    assert set(left_out(root, before)) == {"*.txt", "test/*.txt"}


# 8. Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_08_a_picture_is_read_as_a_viewer_shows_it(tmp_path, orientation, suffix):
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :12] = [250, 10, 10]
    pixels[8:, 12:] = [10, 10, 250]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(pixels).save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    found = np.asarray(read_image(path))
    np.testing.assert_array_equal(found, expected)
    assert found.shape[:2] == ((16, 24) if orientation < 5 else (24, 16))
    assert image_pixels(path, 16, "stretch").shape == (3, 16, 16)


def test_08_a_mask_is_turned_by_its_own_orientation(tree):
    """The image says that it is to be turned, its mask is drawn upright: they agree."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((16, 20, 3), np.uint8)
    pixels[2:6, 3:9] = 255
    Image.fromarray(pixels).save(tree / "test/dent/0.png", exif=exif)
    upright = np.asarray(read_image(tree / "test/dent/0.png"))
    assert upright.shape == (20, 16, 3)
    mask = (upright[..., 0] > 127).astype(np.uint8) * 255
    Image.fromarray(mask).save(tree / "ground_truth/dent/0_mask.png")
    row = index(tree).set_index("path").loc[(tree / "test/dent/0.png").as_posix()]
    np.testing.assert_array_equal(
        mask_pixels(Path(row["mask"]), 16, "stretch"),
        np.asarray(Image.fromarray(mask).resize((16, 16), Image.Resampling.BILINEAR)) > 127,
    )
    Image.fromarray(pixels[..., 0]).save(tree / "ground_truth/dent/0_mask.png", exif=exif)  # turned itself, alike
    np.testing.assert_array_equal(np.asarray(read_mask(tree / "ground_truth/dent/0_mask.png")), mask)
    index(tree)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_08_broken_metadata_turn_nothing(tmp_path):
    pixels = picture(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\xff broken")
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.png")), pixels)


# 9. Masks


def loco(root):
    for number in range(8):
        picture(root / f"train/good/{number:03d}.png", number)
    for number in range(3):
        picture(root / f"validation/good/{number:03d}.png", 50 + number)
        picture(root / f"test/good/{number:03d}.png", 100 + number)
        picture(root / f"test/logical_anomalies/{number:03d}.png", 150 + number)
        for part in range(number + 1):
            mask = np.zeros((16, 20), np.uint8)
            mask[4 * part : 4 * part + 2, number : number + 5] = 200 + part  # LOCO's masks hold numbers of kinds
            path = root / f"ground_truth/logical_anomalies/{number:03d}/{part:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(path)
    return root


def test_09_the_masks_of_an_image_of_loco_count_together(tmp_path):
    root = loco(tmp_path / "bolt")
    table = index(root, "mvtec_loco")
    assert table["split"].value_counts().to_dict() == {"train": 8, "calibration": 3, "test": 6}
    defective = table[table.label == 1]
    assert defective.defect.unique().tolist() == ["logical_anomalies"]
    for number, mask in enumerate(defective["mask"]):
        expected = np.zeros((16, 20), np.uint8)
        for part in range(number + 1):
            expected[4 * part : 4 * part + 2, number : number + 5] = 255
        np.testing.assert_array_equal(np.asarray(read_mask(Path(mask))), expected)
    assert left_out(root, table) == {}
    before = defective.mask_digest.tolist()
    Image.fromarray(np.full((16, 20), 255, np.uint8)).save(root / "ground_truth/logical_anomalies/001/000.png")
    changed = index(root, "mvtec_loco")
    assert [old == new for old, new in zip(before, changed[changed.label == 1].mask_digest, strict=True)] == [
        True,
        False,
        True,
    ]
    (root / "test/logical_anomalies/002.png").unlink()
    with pytest.raises(DatasetError, match="logical_anomalies/002 holds masks without an image"):
        index(root, "mvtec_loco")


def test_09_loco_read_as_mvtec_is_refused_and_not_left_without_masks(tmp_path):
    with pytest.raises(DatasetError, match=r"logical_anomalies/000/000\.png is a mask without an image of defect"):
        index(loco(tmp_path / "bolt"), "mvtec")


@pytest.mark.parametrize(("width", "right"), [(20, True), (21, True), (19, True), (22, False), (18, False)])
def test_09_a_mask_that_is_off_by_a_pixel_is_resized(tree, width, right):
    mask = np.zeros((16, width), np.uint8)
    mask[:8] = 255
    path = tree / "ground_truth/dent/0_mask.png"
    Image.fromarray(mask).save(path)
    if not right:
        with pytest.raises(DatasetError, match=rf"0_mask\.png has {width}×16 pixels, its image .* 20×16; redraw"):
            index(tree)
        return
    assert path.as_posix() in index(tree)["mask"].tolist()
    assert mask_pixels(path, 16, "stretch")[:7].all()
    assert not mask_pixels(path, 16, "stretch")[9:].any()
