"""The gate for bad input: one error that names the file and the way out."""

import pytest
from PIL import Image
from trees import SETTINGS

from moleflow.config.registry import ChoiceError
from moleflow.datasets.index import build_index
from moleflow.datasets.layouts import LAYOUTS
from moleflow.datasets.sample import DatasetError
from moleflow.images.decoding import ImageError


def index(root, **changes):
    return build_index(root, **{**SETTINGS, **changes}).table


def test_lists_every_image_with_label_defect_and_mask(product):
    table = index(product)
    assert table["split"].value_counts().to_dict() == {"train": 8, "test": 6, "calibration": 2}
    assert table[table.split != "test"].label.sum() == 0
    defective = table[table.label == 1]
    assert defective.defect.tolist() == ["dent"] * 3
    assert defective["mask"].str.endswith("_mask.png").all()
    assert (table[table.label == 0]["mask"] == "").all()


def test_split_is_always_the_same(product):
    assert index(product).equals(index(product))


def test_digests_follow_the_bytes(product):
    before = index(product)
    Image.new("L", (20, 16), 128).save(product / "ground_truth/dent/1_mask.png")
    changed = index(product).compare(before)
    assert list(changed.columns.get_level_values(0).unique()) == ["mask_digest"]
    assert len(changed) == 1


def break_truncated(root):
    path = root / "train/good/3.png"
    path.write_bytes(path.read_bytes()[:-60])
    return ImageError, r"train/good/3\.png: not a readable image .*replace"


def break_text(root):
    (root / "test/good/1.png").write_text("no image")
    return ImageError, r"test/good/1\.png: not a readable image"


def break_mask_size(root):
    Image.new("L", (10, 16)).save(root / "ground_truth/dent/2_mask.png")
    return DatasetError, r"2_mask\.png has 10×16 pixels, its image .*2\.png 20×16; redraw"


def break_stray_mask(root):
    (root / "test/dent/0.png").unlink()
    return DatasetError, r"0_mask\.png is a mask without an image .*; add the image"


def break_leak(root):
    with Image.open(root / "train/good/5.png") as image:
        image.save(root / "test/good/5.bmp")  # other bytes, same picture
    with Image.open(root / "train/good/6.png") as image:
        image.save(root / "test/good/6.bmp")
    return DatasetError, (
        r"several splits, keep one of each, or set duplicates: drop: "
        r"\S*train/good/5\.png \((train|calibration)\) = \S*test/good/5\.bmp \(test\);"
        r" \S*train/good/6\.png \((train|calibration)\) = \S*test/good/6\.bmp \(test\)$"
    )


def break_held_out_twin(root):
    """Every picture twice: some pair falls apart into what is learned and what is held out; all are named."""
    for number in range(5):
        (root / f"train/good/{number + 5}.png").write_bytes((root / f"train/good/{number}.png").read_bytes())
    return DatasetError, r"(\d\.png \((train|calibration)\) = \S*\d\.png \((train|calibration)\).*){2}"


def break_all_alike(root):
    for path in (root / "train/good").iterdir():
        path.write_bytes((root / "train/good/0.png").read_bytes())
    return DatasetError, r"bolt: all 8 images to learn from are the same picture; 2 different ones are needed"


def break_empty(root):
    for path in (root / "train/good").iterdir():
        path.unlink()
    return DatasetError, r"has 0 normal training images"


def break_no_test(root):
    for path in root.glob("test/*/*"):
        path.unlink()
    for path in root.glob("ground_truth/*/*"):
        path.unlink()
    return DatasetError, r"has no test images; add"


def break_layout(root):
    (root / "train").rename(root / "training")
    return DatasetError, r"train/good does not exist; layout mvtec expects"


BREAKS = [value for name, value in list(globals().items()) if name.startswith("break_")]


@pytest.mark.parametrize("damage", BREAKS)
def test_bad_input_is_refused(product, damage):
    kind, said = damage(product)
    with pytest.raises(kind, match=said):
        index(product)


def test_a_fraction_that_leaves_nothing_to_learn_from_is_refused(product):
    for number in range(5, 10):
        (product / f"train/good/{number}.png").unlink()
    with pytest.raises(
        DatasetError, match=r"bolt: 1 of 5 normal images is left .* lower calibration_fraction \(0\.7\)"
    ):
        index(product, calibration_fraction=0.7)
    assert (index(product, calibration_fraction=0.6).split == "train").sum() == 2


def test_unknown_layout_lists_the_layouts(product):
    with pytest.raises(ChoiceError, match="layout: 'pcb'.*" + ", ".join(LAYOUTS)):
        index(product, layout="pcb")


def test_class_without_ground_truth_has_no_masks(product):
    for path in sorted(product.glob("ground_truth/**/*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (product / "ground_truth").rmdir()
    assert (index(product)["mask"] == "").all()
