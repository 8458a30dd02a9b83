"""Every layout of the field gives the same index, and a wrong tree says what was expected where."""

from pathlib import Path

import pytest
from samples import SIZE, save_image, save_mask
from trees import SETTINGS

from moleflow.datasets.index import build_index
from moleflow.datasets.layouts import LAYOUTS
from moleflow.datasets.sample import DatasetError
from moleflow.images.decoding import ImageError
from moleflow.images.reading import mask_pixels


def save_images(folder, count, seed, suffix="png"):
    for number in range(count):
        save_image(folder / f"{number:03d}.{suffix}", SIZE, seed + number)


def tree_mvtec(root):
    save_images(root / "train/good", 10, 0)
    save_images(root / "test/good", 2, 20)
    save_images(root / "test/crack", 3, 30)
    for number in range(3):
        save_mask(root / f"ground_truth/crack/{number:03d}_mask.png")
    return root


def tree_btad(root):
    """As published: product 01 has .bmp images with .png masks, 03 .bmp masks."""
    save_images(root / "train/ok", 10, 0, "bmp")
    save_images(root / "test/ok", 2, 20, "bmp")
    save_images(root / "test/ko", 3, 30, "bmp")
    for number, suffix in enumerate(("png", "bmp", "bmp")):
        save_mask(root / f"ground_truth/ko/{number:03d}.{suffix}")
    return root


def tree_mvtec3d(root):
    save_images(root / "train/good/rgb", 8, 0)
    save_images(root / "validation/good/rgb", 2, 10)
    save_images(root / "test/good/rgb", 2, 20)
    save_images(root / "test/crack/rgb", 3, 30)
    for defect, count in (("good", 2), ("crack", 3)):
        for number in range(count):
            save_mask(root / f"test/{defect}/gt/{number:03d}.png", 0 if defect == "good" else 255)
            (root / f"test/{defect}/xyz").mkdir(exist_ok=True)
            (root / f"test/{defect}/xyz/{number:03d}.tiff").write_bytes(b"a point cloud, which nobody reads")
    return root


def tree_mvtec_loco(root):
    save_images(root / "train/good", 8, 0)
    save_images(root / "validation/good", 2, 10)
    save_images(root / "test/good", 2, 20)
    save_images(root / "test/crack", 3, 30)
    for number in range(3):
        save_mask(root / f"ground_truth/crack/{number:03d}/000.png")
    return root


def tree_visa(root):
    """Masks hold small numbers of kinds of defect; the csv lists other products as well."""
    images, masks = root / "Data/Images", root / "Data/Masks/Anomaly"
    lines = ["object,split,label,image,mask", "other,train,normal,other/Data/Images/Normal/0.JPG,"]
    for number in range(12):
        split = "train" if number < 10 else "test"
        save_image(images / f"Normal/{number:04d}.JPG", SIZE, number)
        lines.append(f"{root.name},{split},normal,{root.name}/Data/Images/Normal/{number:04d}.JPG,")
    for number in range(3):
        save_image(images / f"Anomaly/{number:03d}.JPG", SIZE, 30 + number)
        save_mask(masks / f"{number:03d}.png", 1 + number)
        below = f"{root.name}/Data"
        lines.append(
            f"{root.name},test,anomaly,{below}/Images/Anomaly/{number:03d}.JPG,{below}/Masks/Anomaly/{number:03d}.png"
        )
    (root.parent / "split_csv").mkdir(exist_ok=True)
    (root.parent / "split_csv/1cls.csv").write_text("\n".join(lines) + "\n")
    return root


def tree_folder(root):
    save_images(root / "normal", 10, 0)
    save_images(root / "test/good", 2, 20)
    save_images(root / "test/crack", 3, 30)
    for number in range(3):
        save_mask(root / f"masks/crack/{number:03d}.png")
    return root


def with_labels(root):
    """The plainest layout with a csv instead of sub-folders."""
    save_images(root / "normal", 10, 0)
    save_images(root / "test", 5, 20)
    lines = ["image,label,mask,defect"]
    for number, label in enumerate(("0", "good", "1", "ng", "NG")):
        mask = f"masks/{number}.png" if number > 1 else ""
        if mask:
            save_mask(root / mask)
        lines.append(f"test/{number:03d}.png,{label},{mask},{'crack' if number > 2 else ''}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


TREES = {name.removeprefix("tree_"): tree for name, tree in list(globals().items()) if name.startswith("tree_")}


def index(root, layout):
    return build_index(root, **{**SETTINGS, "layout": layout}).table


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_gives_the_same_index(tmp_path, layout):
    """Parametrized over the registry: a new layout needs its tree here."""
    table = index(TREES[layout](tmp_path / "bolt"), layout)
    assert table["split"].value_counts().to_dict() == {"train": 8, "test": 5, "calibration": 2}
    assert table[table.split != "test"].label.sum() == 0
    assert table[table.label == 0].defect.unique().tolist() == ["good"]
    assert table[table.label == 1].defect.unique().tolist() in (["crack"], ["ko"], ["anomaly"])
    assert (table[table.label == 0]["mask"] == "").all()
    for path in table[table.label == 1]["mask"]:
        mask = mask_pixels(Path(path), 16, "stretch")
        assert mask[:8, :8].all()
        assert mask.sum() == 64


def test_validation_images_of_the_data_set_are_the_held_out_ones(tmp_path):
    table = index(tree_mvtec3d(tmp_path / "bolt"), "mvtec3d")
    assert table.path.str.contains("/validation/").equals(table.split == "calibration")


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
    ("layout", "said"),
    [
        ("mvtec", r"bolt/train/good does not exist; layout mvtec expects train/good and test/<defect> in"),
        ("btad", r"bolt/train/ok does not exist; layout btad expects train/ok"),
        ("mvtec3d", r"bolt/train/good/rgb does not exist; layout mvtec3d expects train/good/rgb"),
        ("visa", r"split_csv/1cls\.csv does not exist; layout visa expects split_csv/1cls\.csv beside"),
        ("folder", r"bolt/normal does not exist; layout folder expects normal/ and test/<defect>/"),
    ],
)
def test_tree_of_another_layout_is_told_what_was_expected(tmp_path, layout, said):
    (tmp_path / "bolt").mkdir()
    with pytest.raises(DatasetError, match=said):
        index(tmp_path / "bolt", layout)


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
    text = path.read_text().replace(f"bolt/Data/{old}", "") if old.startswith("Masks") else path.read_text()
    path.write_text(text.replace(old, new))
    with pytest.raises((DatasetError, ImageError), match=said):
        index(tmp_path / "bolt", "visa")


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


def test_unlabeled_image_in_a_folder_is_refused(tmp_path):
    save_image(tree_folder(tmp_path / "bolt") / "test/new.png")
    with pytest.raises(DatasetError, match=r"test/new\.png has no label; move it into test/good"):
        index(tmp_path / "bolt", "folder")


def test_normal_is_normal_however_it_is_spelled(tmp_path):
    (tree_folder(tmp_path / "bolt") / "test/good").rename(tmp_path / "bolt/test/Good")
    assert index(tmp_path / "bolt", "folder").label.sum() == 3
    (tree_mvtec(tmp_path / "nut") / "test/good").rename(tmp_path / "nut/test/GOOD")
    with pytest.raises(DatasetError, match=r"test/GOOD would count as a defect; rename it to good"):
        index(tmp_path / "nut", "mvtec")


def test_hidden_folders_are_no_defects(tmp_path):
    save_image(tree_mvtec(tmp_path / "bolt") / "test/.ipynb_checkpoints/0.png", seed=99)
    assert ".ipynb_checkpoints" not in set(index(tmp_path / "bolt", "mvtec").defect)


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


def test_all_masks_together_say_how_they_are_named(tmp_path):
    root = tree_mvtec(tmp_path / "bolt")  # whose masks are called 000_mask.png, ...
    truth = root / "ground_truth/crack"
    save_image(root / "test/crack/000_mask.png", seed=70)

    def masks():
        table = index(root, "mvtec")
        table = table[table.defect == "crack"]
        return {Path(path).name: Path(mask).name for path, mask in zip(table.path, table["mask"], strict=True) if mask}

    assert masks()["000.png"] == "000_mask.png"
    save_mask(truth / "000_mask_mask.png")
    assert (masks()["000.png"], masks()["000_mask.png"]) == ("000_mask.png", "000_mask_mask.png")
    for path in truth.iterdir():
        path.rename(path.with_name(path.name.replace("_mask.png", ".png")))
    assert (masks()["000.png"], masks()["000_mask.png"]) == ("000.png", "000_mask.png")
    for path in truth.iterdir():
        path.unlink()
    save_mask(truth / "000_mask.png")
    with pytest.raises(DatasetError, match=r"000_mask\.png may be the mask of 000_mask or of 000; rename that image"):
        index(root, "mvtec")
    (root / "test/crack/000_mask.png").unlink()
    save_mask(truth / "000.png")
    with pytest.raises(DatasetError, match=r"000\.png and .*000_mask\.png are masks of the same image"):
        index(root, "mvtec")


def test_good_is_no_kind_of_defect(tmp_path):
    root = tree_btad(tmp_path / "bolt")
    save_image(root / "test/good/000.png", seed=71)
    with pytest.raises(DatasetError, match=r"test/good would count as a defect; rename it to ok"):
        index(root, "btad")


def test_a_hidden_link_to_a_folder_does_not_matter(tmp_path):
    (tree_mvtec(tmp_path / "bolt") / ".cache").symlink_to(tmp_path)
    assert len(index(tmp_path / "bolt", "mvtec")) == 15
