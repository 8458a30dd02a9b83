"""The gate for bad input: one error that names the file and the way out."""

import numpy as np
import pytest
from PIL import Image

from moleflow.choices import ChoiceError
from moleflow.datasets.images import ImageError, image_pixels, mask_pixels, rotated
from moleflow.datasets.index import LAYOUTS, build_index
from moleflow.datasets.sample import DatasetError
from moleflow.demo import write_demo


def index(root, **changes):
    return build_index(root, **{"layout": "mvtec", "calibration_fraction": 0.2, **changes})


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


def break_missing_mask(root):
    (root / "ground_truth/dent/0_mask.png").unlink()
    return DatasetError, r"test/dent/0\.png has no mask"


def break_leak(root):
    with Image.open(root / "train/good/5.png") as image:
        image.save(root / "test/good/5.bmp")  # other bytes, same picture
    with Image.open(root / "train/good/6.png") as image:
        image.save(root / "test/dent/0.png")
    return DatasetError, (
        r"several splits, keep one of each: "
        r"\S*train/good/5\.png \((train|calibration)\) = \S*test/good/5\.bmp \(test\);"
        r" \S*train/good/6\.png \((train|calibration)\) = \S*test/dent/0\.png \(test\)$"
    )


def break_held_out_twin(root):
    """Every picture twice: some pair falls apart into what is learnt and what is held out; all are named."""
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


def test_views_of_an_image_and_its_mask_agree(tmp_path):
    wide = Image.new("L", (40, 20))
    wide.paste(255, (20, 0, 40, 20))  # the right half
    wide.save(tmp_path / "wide.png")
    for resize in ("stretch", "crop"):
        mask = mask_pixels(tmp_path / "wide.png", 8, resize)
        image = image_pixels(tmp_path / "wide.png", 8, resize)
        assert image.shape == (3, 8, 8)
        assert mask[:, 4:].all()
        assert not mask[:, :4].any()
        assert ((image[0] > 127) == mask).all()


def test_mask_is_binarised_after_resizing(tmp_path):
    mask = Image.new("L", (4, 4))
    mask.putpixel((1, 1), 255)
    mask.save(tmp_path / "dot.png")
    assert not mask_pixels(tmp_path / "dot.png", 1, "stretch").any()  # a sixteenth of the pixel
    mask.paste(255, (0, 0, 4, 3))
    mask.save(tmp_path / "most.png")
    assert mask_pixels(tmp_path / "most.png", 1, "stretch").all()


def test_a_turned_view_keeps_the_centre_and_has_no_black_corners():
    pixels = np.full((3, 31, 31), 90, np.uint8)
    pixels[:, 15, 25] = 255  # to the right of the centre
    turned = rotated(pixels, 90.0)
    assert turned.shape == pixels.shape
    assert turned.dtype == np.uint8
    assert np.unravel_index(turned[0].argmax(), (31, 31)) == (5, 15)  # above it
    assert rotated(np.full((3, 31, 31), 90, np.uint8), 45.0).min() == 90


def test_demo_is_sound_seeded_and_its_masks_are_exact(tmp_path):
    write_demo(tmp_path / "a")
    write_demo(tmp_path / "b")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png"))
    assert all((tmp_path / "a" / each).read_bytes() == (tmp_path / "b" / each).read_bytes() for each in files)
    products = sorted(path for path in (tmp_path / "a").iterdir())
    assert [each.name for each in products] == ["brick", "elpv_mono", "elpv_poly", "grass", "gravel"]
    for root in products:
        table = index(root)
        assert set(table["split"]) == {"train", "calibration", "test"}
        assert (table[table.label == 1]["mask"] != "").all() == (not root.name.startswith("elpv"))
