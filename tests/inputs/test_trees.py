"""Odd trees and files, as users of other tools report them: read as a viewer shows them, or refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.ndimage import label

from moleflow.datasets.index import build_index
from moleflow.datasets.sample import DatasetError
from moleflow.evaluation.metrics import ranking
from moleflow.evaluation.results import grade, unmarked
from moleflow.images.reading import image_pixels, image_suffixes, mask_pixels, read_image, read_mask
from moleflow.scoring.scorer import Predictions

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
    return build_index(root, layout=layout, calibration_fraction=0.2, duplicates="refuse").table


def notes(root, layout="mvtec", duplicates="refuse"):
    return build_index(root, layout=layout, calibration_fraction=0.2, duplicates=duplicates).notes


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
    assert notes(tree) == [
        f"2 files extra/*.png left out, neither images nor masks of this layout; the first is {tree}/extra/a.png",
        f"1 files *.txt left out, neither images nor masks of this layout; the first is {tree}/readme.txt",
    ]


# 7. Hidden and system files


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
    assert notes(root, "mvtec_loco") == []
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
    said = [f"{path} has {width}×16 pixels, its image {tree}/test/dent/0.png 20×16: the mask is resized"]
    assert notes(tree) == (said if width != 20 else [])
    assert mask_pixels(path, 16, "stretch")[:7].all()
    assert not mask_pixels(path, 16, "stretch")[9:].any()


# 11. The same picture twice


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
    table, said = build_index(tree, layout="mvtec", calibration_fraction=0.2, duplicates="drop")
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


# 9 and 10. Defects that are not marked, tiny, or cut off


def test_09_masks_for_some_defects_leave_the_others_out_of_the_pixel_metrics(tree):
    (tree / "ground_truth/dent/1_mask.png").unlink()
    table = index(tree)
    assert (table[table.label == 1]["mask"] == "").tolist() == [False, True, False]
    assert notes(tree) == [
        f"1 of 3 defective images have no mask, pixel metrics leave them out; the first is {tree}/test/dent/1.png"
    ]
    rng = np.random.default_rng(0)
    labels, masks = np.array([0, 0, 1, 1, 1]), np.zeros((5, 8, 8), bool)
    masks[2, :3], masks[4, 5:] = True, True  # image 3 is defective, nobody says where
    scores = rng.normal(size=(5, 4, 4))
    predictions = Predictions(scores, scores.max((1, 2)), np.ones(5), scores.max((1, 2)))
    others = np.array([0, 1, 2, 4])
    fewer = Predictions(*(value[others] for value in vars(predictions).values()))
    found, expected = grade(predictions, labels, masks, 1.0), grade(fewer, labels[others], masks[others], 1.0)
    assert found.pixel == expected.pixel
    assert found.pixel.ap is not None
    assert found.image.ap == ranking(labels, scores.max((1, 2))).ap  # it counts for the image metrics


@pytest.mark.parametrize("side", [300, 1024, 4096])
def test_10_a_defect_of_a_few_pixels_stays_in_a_small_view(tmp_path, side):
    mask = np.zeros((side, side), np.uint8)
    spots = [(side // 5, side // 3), (side // 2, side // 2), (side - 20, 30)]
    for row, column in spots:
        mask[row : row + 6, column : column + 6] = 255
    mask[:, side - side // 8 :] = 255  # a large one beside them
    Image.fromarray(mask).save(tmp_path / "mask.png")
    view = mask_pixels(tmp_path / "mask.png", 224, "stretch")
    _, count = label(view, np.ones((3, 3)))
    assert count == 4
    for row, column in spots:
        near = view[int(row * 224 / side) - 1 : int(row * 224 / side) + 8, int(column * 224 / side) - 1 :][:, :8]
        assert 1 <= near.sum() <= max(36, (6 * 224 / side + 2) ** 2)
    assert view.mean() == pytest.approx(1 / 8, abs=0.01)


def test_10_a_defect_that_the_view_cuts_off_is_counted_and_left_out(tmp_path):
    mask = np.zeros((100, 300), np.uint8)
    mask[40:60, 5:25] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    views = {resize: mask_pixels(tmp_path / "mask.png", 64, resize) for resize in ("stretch", "crop")}
    assert views["stretch"].any()
    assert not views["crop"].any()
    masks = np.stack([np.zeros((64, 64), bool), views["stretch"], views["crop"]])
    assert unmarked(np.array([0, 1, 1]), masks).tolist() == [False, False, True]
