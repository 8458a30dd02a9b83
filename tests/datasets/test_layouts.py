"""Every layout of the field gives the same index, and a wrong tree says what was expected where."""

from pathlib import Path

import pytest
from samples import save_image, save_mask
from trees import TREES, index, tree_btad, tree_folder, tree_mvtec, tree_mvtec3d

from moleflow.datasets.layouts import LAYOUTS
from moleflow.datasets.sample import DatasetError
from moleflow.images.reading import mask_pixels


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
