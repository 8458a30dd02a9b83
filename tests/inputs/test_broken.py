"""Relatives of what was reported: files that are broken, or not what their names say, are refused by name."""

import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from projects import ROOT
from trees import built, index, labeled, notes, picture

from moleflow.config.params import ParamsError, read_params
from moleflow.datasets.sample import DatasetError
from moleflow.images.decoding import ImageError, decode, decode_mask
from moleflow.images.listing import list_files
from moleflow.images.reading import read_mask


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", ["gif", "tif"])
def test_a_file_that_ends_before_its_last_picture_is_unreadable(tree, suffix):
    rng = np.random.default_rng(0)
    pages = [Image.fromarray(rng.integers(0, 255, (40, 50), dtype=np.uint8)) for _ in range(3)]
    path = tree / f"train/good/pages.{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert "hold several pictures" in notes(tree)[0]
    data = path.read_bytes()
    for share in (0.4, 0.7, 0.9, 0.99):
        path.write_bytes(data[: int(share * len(data))])
        try:
            assert len(built(tree, unreadable="drop").table) in (15, 16)
        except ImageError as error:
            pytest.fail(str(error))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_gray_tiff_that_is_mapped_into_memory_is_turned_like_others(tmp_path, orientation):
    values = np.arange(60, dtype=np.uint8).reshape(6, 10)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    extra = [(0x0112, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", extratags=extra)
    np.testing.assert_array_equal(decode(tmp_path / "a.tif"), decode(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(decode(image), decode(tmp_path / "a.png"))
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.tif"), decode_mask(tmp_path / "a.png"))


@pytest.mark.parametrize("split", ["calibration", "test"])
def test_a_split_of_which_nothing_is_left_is_refused(tree, split):
    table = index(tree)
    for path in table.path[table.split == split]:
        Path(path).write_text("no image")
    with pytest.raises(DatasetError, match=f"no {split} image is left that can be used; one is needed"):
        index(tree, unreadable="drop")


def test_floating_point_on_another_scale_than_the_normal_images_is_unreadable(tmp_path):
    root = tmp_path / "bolt"
    for number in range(12):
        path = root / f"{'train' if number < 10 else 'test'}/good/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(imagecodecs.png_encode(np.full((16, 20), 4000 - number, np.uint16)))
    tifffile.imwrite(root / "test/good/f.tif", np.random.default_rng(0).random((16, 20)).astype(np.float32))
    with pytest.raises(ImageError, match=r"f\.tif: values of float32 up to \S+ have no known white: the normal images"):
        index(root)
    tifffile.imwrite(root / "test/good/f.tif", np.linspace(0, 4000, 320, dtype=np.float32).reshape(16, 20))
    assert len(index(root)) == 13


@pytest.mark.parametrize("name", [b"gr\xfc.png", b"a\rb.png", b"a\nb.png", b"mon\rday/a.png"])
def test_a_name_that_no_table_can_hold_is_refused(tree, name):
    path = os.fsencode(tree / "train/good") + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write((tree / "train/good/0.png").read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"name is not UTF-8; rename it|control characters in a file's name"):
        index(tree, unreadable="drop", duplicates="drop")


def test_a_stray_file_whose_name_is_no_text_is_mentioned(tree):
    with open(os.fsencode(tree) + b"/n\xfc.txt", "wb"):
        pass
    notes(tree)[0].encode("utf-8")


def test_pipes_and_circles_of_links_do_not_hang(tree):
    os.mkfifo(tree / "train/good/pipe.png")
    with pytest.raises(ImageError, match=r"pipe\.png: not a readable image \(it is no file\)"):
        index(tree)
    (tree / "train/good/pipe.png").unlink()
    for name in ("a", "b"):
        (tree / "train" / name).symlink_to("..")
    assert len(list_files(tree)) == 18
    with pytest.raises(DatasetError, match="a link to a folder"):
        index(tree)


def test_a_mask_that_marks_nothing_is_mentioned(tree):
    Image.new("L", (20, 16)).save(tree / "ground_truth/dent/1_mask.png")
    path = tree / "ground_truth/dent/1_mask.png"
    assert notes(tree) == [
        f"1 masks of defective images mark nothing, pixel metrics leave these images out; the first is {path}"
    ]


MARKED = np.zeros((40, 60), bool)
MARKED[5:20, 10:40] = True


def save_webp(path):
    Image.fromarray(np.where(MARKED, np.uint8(255), np.uint8(0))).save(path, quality=60)


def save_webp_of_numbers(path):
    Image.fromarray(np.where(MARKED, np.uint8(2), np.uint8(0))).save(path, lossless=True)


def save_jpeg_in_tiff(path):
    Image.fromarray(np.where(MARKED, np.uint8(255), np.uint8(0))).save(path, compression="jpeg", quality=60)


def save_inks(path):
    Image.fromarray(np.where(MARKED, np.uint8(255), np.uint8(0))).convert("CMYK").save(path)


def save_deep_with_alpha(path):
    alpha = np.where(MARKED, np.uint16(65535), np.uint16(0))
    path.write_bytes(imagecodecs.png_encode(np.stack([np.full(MARKED.shape, 65535, np.uint16)] * 3 + [alpha], 2)))


def save_inverted(path):
    values = np.where(MARKED, np.uint16(0), np.uint16(65535))
    tifffile.imwrite(path, values, photometric="miniswhite")


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.webp", save_webp),
        ("b.webp", save_webp_of_numbers),
        ("a.tif", save_jpeg_in_tiff),
        ("b.tif", save_inks),
        ("a.png", save_deep_with_alpha),
        ("c.tif", save_inverted),
    ],
)
def test_a_mask_marks_what_a_viewer_shows(tmp_path, name, save):
    save(tmp_path / name)
    found = decode_mask(tmp_path / name)
    edge = np.abs(found ^ MARKED)
    assert edge.sum() <= (60 if name in ("a.webp", "a.tif") else 0)  # of a boundary of 90 pixels, with loss


def test_a_tiff_of_which_strips_are_missing_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((64, 64), 4000, np.uint16), rowsperstrip=16, photometric="minisblack")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["StripByteCounts"]
        start = tag.valueoffset
        size = 2 if tag.dtype == 3 else 4
    data[start + 2 * size : start + 3 * size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.tif: not a readable image \(a part of it is missing\)"):
        decode(path)


def test_a_deep_pgm_beside_8_bits_is_read_whole(tree):
    values = np.linspace(0, 65535, 320).reshape(16, 20).astype(">u2")
    (tree / "test/good/deep.pgm").write_bytes(b"P5\n20 16\n65535\n" + values.tobytes())
    assert decode(tree / "test/good/deep.pgm").dtype == np.uint16
    assert built(tree).overview.facts["values"].startswith("8 bits (15), 16 bits (1)")


def test_the_limit_holds_for_masks_in_folders_and_tiffs_unknown_to_pillow(tmp_path):
    Image.new("L", (100, 100), 255).save(tmp_path / "0.png")
    with pytest.raises(ImageError, match=r"0\.0 megapixels, more than max_megapixels \(0\.001\)"):
        read_mask(tmp_path, max_megapixels=0.001)
    tifffile.imwrite(tmp_path / "half.tif", np.ones((100, 100), np.float16))
    with pytest.raises(ImageError, match=r"half\.tif: 0\.0 megapixels, more than max_megapixels"):
        decode(tmp_path / "half.tif", max_megapixels=0.001)


def test_lines_of_a_csv_that_are_longer_than_its_header_are_refused(tmp_path):
    root = labeled(tmp_path / "bolt", ["ok,", "ng,"])
    with pytest.raises(DatasetError, match=r"labels\.csv is no UTF-8 text separated by .*Expected 2 fields in line 2"):
        index(root, "folder")


def test_files_outside_the_products_folder_are_refused(tmp_path):
    root = labeled(tmp_path / "bolt", ["ok", "ng"])
    picture(tmp_path / "elsewhere.png", 900)
    with (root / "labels.csv").open("a") as file:
        file.write("../elsewhere.png,ng\n")
    with pytest.raises(DatasetError, match=r"elsewhere\.png lies outside .*bolt, where DVC does not see it change"):
        index(root, "folder")


@pytest.mark.parametrize("value", ["2024-13-45", "!!int abc", "9" * 5000, "[" * 3000])
def test_odd_values_in_params_are_one_clear_error(tmp_path, value):
    text = (ROOT / "params.yaml").read_text().replace("seed: 0 ", f"seed: {value} ")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be read"):
        read_params(tmp_path / "params.yaml")


def test_a_path_with_a_detour_is_the_same_image(tmp_path):
    root = labeled(tmp_path / "bolt", ["ok", "ng"])
    with (root / "labels.csv").open("a") as file:
        file.write("test/../test/0.png,ok\n")
    with pytest.raises(DatasetError, match=r"test/0\.png is listed more than once"):
        index(root, "folder")


def test_a_mask_of_a_normal_image_marks_nothing(tmp_path):
    lines = ["object,split,label,image,mask"]
    for number in range(8):
        split = "train" if number < 6 else "test"
        picture(tmp_path / f"bolt/Data/{number}.png", number)
        lines.append(
            f"bolt,{split},{'anomaly' if number == 7 else 'normal'},bolt/Data/{number}.png,bolt/mask{number}.png"
        )
        Image.new("L", (20, 16), 255).save(tmp_path / f"bolt/mask{number}.png")
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_text("\n".join(lines) + "\n")
    table = index(tmp_path / "bolt", "visa")
    assert table[table["mask"] != ""].label.tolist() == [1]
    assert "7 files *.png left out" in notes(tmp_path / "bolt", "visa")[-1]


@pytest.mark.parametrize("lost", [12, 16, 60])
def test_a_png_whose_end_is_zeros_is_unreadable(tmp_path, lost):
    path = tmp_path / "a.png"
    pixels = picture(path, size=(200, 160))
    np.testing.assert_array_equal(decode(path), pixels)
    data = path.read_bytes()
    path.write_bytes(data[:-lost] + bytes(lost))
    for read in (decode, decode_mask):
        with pytest.raises(ImageError, match=r"a\.png: not a readable image .*; replace the file or remove it"):
            read(path)


def test_masks_that_mark_what_is_normal_are_mentioned(tree):
    paths = [tree / f"ground_truth/dent/{number}_mask.png" for number in range(3)]
    for count, path in enumerate(paths[:2], start=1):
        with Image.open(path) as mask:
            Image.fromarray(255 - np.asarray(mask)).save(path)
        said = (
            f"2 of 3 masks mark more than half of their image; black must be what is normal: invert them if it is "
            f"white; the first is {paths[0]}"
        )
        assert notes(tree) == ([said] if count == 2 else [])
