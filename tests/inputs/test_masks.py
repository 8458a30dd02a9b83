"""9 and 10. Masks of several files, for some defects only, off by a pixel; defects that are tiny or cut off."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label
from trees import index, notes, picture

from moleflow.datasets.sample import DatasetError
from moleflow.evaluation.grades import grade, unmarked
from moleflow.evaluation.metrics import ranking
from moleflow.images.decoding import ImageError
from moleflow.images.reading import mask_pixels, read_mask
from moleflow.scoring.scorer import Predictions


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
    with pytest.raises(DatasetError, match=r"logical_anomalies/000/000\.png, .* is a mask without an image of defect"):
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
    predictions = Predictions(scores, np.zeros(5), scores.max((1, 2)), np.ones(5), scores.max((1, 2)))
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


def test_09_a_mask_that_two_images_could_have_is_refused(tree, tmp_path):
    picture(tree / "test/dent/0.bmp", 300)
    with pytest.raises(DatasetError, match=r"0_mask\.png is the mask of several images, \S*0\.bmp, \S*0\.png; rename"):
        index(tree)
    root = loco(tmp_path / "nut")
    picture(root / "test/logical_anomalies/001.bmp", 300)
    with pytest.raises(DatasetError, match=r"logical_anomalies/001 is the mask of several images, .*; rename all but"):
        index(root, "mvtec_loco")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_09_a_mask_of_values_that_are_no_numbers_is_refused(tmp_path, value):
    values = np.zeros((16, 20), np.float32)
    values[3, 4] = value
    Image.fromarray(values).save(tmp_path / "mask.tif")
    with pytest.raises(ImageError, match=r"mask\.tif: it has values that are not numbers .*; replace them"):
        read_mask(tmp_path / "mask.tif")
