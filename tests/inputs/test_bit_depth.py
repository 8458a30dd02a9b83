"""3. Images of more than 8 bits: cameras of 10, 12 and 14 bits in files of 16, gray and color, floating point."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from trees import built, index, notes, picture

from moleflow.datasets.sample import DatasetError
from moleflow.images.decoding import ImageError, decode, decode_mask
from moleflow.images.index_table import read_index, white_of
from moleflow.images.reading import image_pixels, read_image

SHAPE = (16, 20)


def save(path, values):
    """Writes all bits of an array; by Pillow only where it can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(values))
    elif path.suffix in (".pgm", ".ppm"):
        kind = b"P5" if values.ndim == 2 else b"P6"
        path.write_bytes(kind + b"\n%d %d\n65535\n" % values.shape[1::-1] + values.astype(">u2").tobytes())
    else:
        gray = values.ndim == 2 or values.shape[2] == 2
        planes = {} if values.ndim == 2 else {"planarconfig": "contig"}
        tifffile.imwrite(path, values, photometric="minisblack" if gray else "rgb", **planes)


def values_of(seed, top, channels=(), dtype=np.uint16):
    values = np.random.default_rng(seed).integers(0, top, (*SHAPE, *channels), endpoint=True)
    values.flat[0] = top
    return values.astype(dtype)


def deep(root, top, suffix="png", channels=(), test_top=None):
    """A product of images of more than 8 bits; returns what was written by path."""
    written = {}
    for number in range(10):
        written[root / f"train/good/{number}.{suffix}"] = values_of(number, top, channels)
    for number in range(2):
        written[root / f"test/good/{number}.{suffix}"] = values_of(100 + number, test_top or top, channels)
    for path, values in written.items():
        save(path, values)
    return written


def shown(values, white):
    """As a viewer shows them: 8 bits, white at `white`."""
    values = values if values.ndim == 3 else values[..., None]
    colors = values[..., :3] if values.shape[2] > 2 else values[..., :1]
    scaled = np.floor(colors.astype(float) * 255 / white + 0.5).clip(0, 255)
    return np.broadcast_to(scaled, (*SHAPE, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize(
    ("top", "white"),
    [(200, 255), (255, 255), (256, 1023), (1000, 1023), (4000, 4095), (4096, 16383), (16383, 16383), (40000, 65535)],
)
def test_03_the_smallest_depth_that_holds_the_largest_normal_value_is_white(tmp_path, suffix, top, white):
    written = deep(tmp_path / "bolt", top, suffix)
    table = index(tmp_path / "bolt")
    assert table["white"].unique().tolist() == [white]
    for path, values in written.items():
        found = np.asarray(read_image(path, white=white_of(table)))
        np.testing.assert_array_equal(found, shown(values, white))
        assert len(np.unique(found)) > 60  # gray levels


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
@pytest.mark.parametrize("channels", [(3,), (4,), (2,)])
def test_03_color_keeps_its_16_bits(tmp_path, suffix, channels):
    if suffix == "ppm" and channels != (3,):
        pytest.skip("PPM has three channels")
    written = deep(tmp_path / "bolt", 4000, suffix, channels)
    table = index(tmp_path / "bolt")
    assert table["white"].unique().tolist() == [4095]
    for path, values in written.items():
        np.testing.assert_array_equal(decode(path), values[..., :3] if channels != (2,) else values[..., [0, 0, 0]])
        np.testing.assert_array_equal(np.asarray(read_image(path, white=4095.0)), shown(values, 4095))


def test_03_every_stage_reads_the_white_of_the_index(tmp_path):
    deep(tmp_path / "bolt", 4000)
    found = built(tmp_path / "bolt")
    (tmp_path / "bolt.csv").write_text(found.table.to_csv(index=False))
    assert white_of(read_index(tmp_path / "bolt.csv")) == 4095
    assert found.overview.facts["values"] == "16 bits; the largest is 4000, and 4095 is white"
    path = Path(found.table.path[0])
    assert image_pixels(path, 16, "stretch", white=4095.0).max() > 240
    assert image_pixels(path, 16, "stretch", white=65535.0).max() < 20  # in 16 bits it would be dark


def test_03_a_product_without_such_images_has_no_white_and_a_16_bit_one_then_is_read_whole(tree):
    assert white_of(index(tree)) is None
    save(tree / "test/good/deep.png", values_of(1, 65535))
    assert notes(tree) == []
    save(tree / "test/good/dark.png", values_of(1, 4000))
    with pytest.raises(ImageError, match=r"dark\.png: values of uint16 up to 4000 have no known white.*set bit_depth"):
        index(tree)
    np.testing.assert_array_equal(
        np.asarray(read_image(tree / "test/good/deep.png", white=None)), shown(values_of(1, 65535), 65535)
    )


def test_03_a_dark_image_among_others_is_dark_and_not_refused(tmp_path):
    deep(tmp_path / "bolt", 60000)
    dark = values_of(7, 2000)
    save(tmp_path / "bolt/test/good/dark.png", dark)
    table = index(tmp_path / "bolt")
    assert table["white"].unique().tolist() == [65535]
    assert np.asarray(read_image(tmp_path / "bolt/test/good/dark.png", white=65535.0)).max() == 8


def test_03_values_above_white_are_clipped_and_counted(tmp_path):
    written = deep(tmp_path / "bolt", 1000, test_top=3000)
    path = tmp_path / "bolt/test/good/0.png"
    share = 100 * (written[path] > 1023).mean()
    (said,) = notes(tmp_path / "bolt")
    assert said.startswith("values below 0 or above 1023, which is white, are clipped in 2 images, most of them in ")
    assert share > 50
    assert "% of its values); bit_depth sets another white" in said
    found = np.asarray(read_image(path, white=1023.0))
    np.testing.assert_array_equal(found, shown(written[path], 1023))
    assert (found == 255).mean() > 0.5


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_03_a_product_may_set_its_bit_depth(tmp_path, bits):
    deep(tmp_path / "bolt", 900)
    assert index(tmp_path / "bolt", bit_depth=bits)["white"].unique().tolist() == [2**bits - 1]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_03_floating_point_is_read_by_the_normal_maximum(tmp_path, dtype, channels):
    root = tmp_path / "bolt"
    written = {}
    for number in range(12):
        folder = "train/good" if number < 10 else "test/good"
        values = np.random.default_rng(number).random((*SHAPE, *channels)) * (0.8 if number < 10 else 1.6) - 0.1
        values.flat[0] = 0.7
        written[root / folder / f"{number}.tif"] = values.astype(dtype)
        save(root / folder / f"{number}.tif", values.astype(dtype))
    found = built(root)
    white = white_of(found.table)
    assert white == float(max(values.max() for path, values in written.items() if "train" in path.parts))
    for path, values in written.items():
        np.testing.assert_array_equal(np.asarray(read_image(path, white=white)), shown(values, white))
    assert "are clipped in 12 images" in found.overview.notes[0]


def test_03_integers_of_32_bits_and_with_a_sign_are_read_alike(tmp_path):
    for top, white in ((3000, 4095), (408400, 408400)):
        root = tmp_path / str(top)
        for number in range(10):
            save(root / f"train/good/{number}.tif", values_of(number, top, dtype=np.int32) - 50)
        save(root / "test/good/0.tif", values_of(100, top, dtype=np.uint32))
        table = index(root)
        assert white_of(table) == (white if top == 3000 else top - 50)
        values = values_of(3, top, dtype=np.int32) - 50
        np.testing.assert_array_equal(
            np.asarray(read_image(root / "train/good/3.tif", white=4095.0)), shown(values.clip(0), 4095)
        )


def test_03_values_without_any_white_are_refused_by_name_or_dropped(tree):
    save(tree / "test/good/float.tif", np.random.default_rng(0).random(SHAPE).astype(np.float32))
    with pytest.raises(ImageError, match=r"float\.tif: values of float32 up to \S+ have no known white.*set bit_depth"):
        index(tree)
    assert len(index(tree, unreadable="drop")) == 15
    save(tree / "test/good/float.tif", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(ImageError, match=r"float\.tif: it has values that are not numbers"):
        index(tree, bit_depth=8)


def test_03_8_bits_beside_more_keep_their_own_white_and_it_is_said(tmp_path):
    deep(tmp_path / "bolt", 4000)
    pixels = picture(tmp_path / "bolt/test/good/8bit.png", 300)
    assert notes(tmp_path / "bolt") == ["1 of 13 images hold 8 bits, whose white is 255; that of the others is 4095"]
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "bolt/test/good/8bit.png", white=4095.0)), pixels)


def test_03_kinds_of_tiff_that_pillow_misreads_are_read(tmp_path):
    color, gray = values_of(0, 4000, (3,)), values_of(1, 4000)
    tifffile.imwrite(tmp_path / "planar.tif", np.moveaxis(color, 2, 0), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "lzw.tif", color, photometric="rgb", compression="lzw", predictor=True)
    tifffile.imwrite(tmp_path / "tiles.tif", color, photometric="rgb", tile=(16, 16), byteorder=">")
    for name in ("planar", "lzw", "tiles"):
        np.testing.assert_array_equal(decode(tmp_path / f"{name}.tif"), color)
    tifffile.imwrite(tmp_path / "inverted.tif", gray, photometric="miniswhite")
    np.testing.assert_array_equal(decode(tmp_path / "inverted.tif")[..., 0], 65535 - gray)
    tifffile.imwrite(
        tmp_path / "six.tif", np.zeros((*SHAPE, 6), np.uint16), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(
        ImageError, match=r"six\.tif: a TIFF of minisblack, \(16, 20, 6\) of uint16, is not read; save it"
    ):
        decode(tmp_path / "six.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_03_deep_pictures_are_turned_as_others_are(tmp_path, orientation):
    small = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(small).save(tmp_path / "small.png", exif=exif)
    extra = [(0x0112, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "deep.tif", small.astype(np.uint16) * 257, photometric="minisblack", extratags=extra)
    np.testing.assert_array_equal(decode(tmp_path / "deep.tif"), decode(tmp_path / "small.png").astype(np.uint16) * 257)


def test_03_a_mask_of_16_bits_marks_by_any_bit(tmp_path):
    mask = np.zeros((*SHAPE, 3), np.uint16)
    mask[2:5, 3:9, 2] = 1  # lost where 16 bits become 8
    save(tmp_path / "mask.png", mask)
    save(tmp_path / "mask.tif", mask)
    for name in ("mask.png", "mask.tif"):
        np.testing.assert_array_equal(decode_mask(tmp_path / name), mask.any(2))


def test_03_an_image_of_pillows_that_it_would_cut_is_refused(tmp_path):
    save(tmp_path / "color.png", values_of(0, 4000, (3,)))
    with (
        Image.open(tmp_path / "color.png") as image,
        pytest.raises(ImageError, match="Pillow keeps 8 of the 16 bits of its colors; give the path of the file"),
    ):
        decode(image)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_03_broken_files_of_many_bits_are_refused_by_name(tmp_path):
    for suffix in ("png", "tif", "ppm", "pgm"):
        path = tmp_path / f"whole.{suffix}"
        save(path, values_of(0, 4000, () if suffix == "pgm" else (3,)))
        data = path.read_bytes()
        for cut in (10, 60, len(data) // 2, len(data) - 30):
            broken = tmp_path / f"cut.{suffix}"
            broken.write_bytes(data[:cut])
            with pytest.raises(
                ImageError, match=rf"cut\.{suffix}: not a readable image .*replace the file or remove it"
            ):
                decode(broken)


def test_03_pages_beyond_the_first_are_mentioned(tree):
    tifffile.imwrite(
        tree / "train/good/stack.tif", np.stack([values_of(n, 4000) for n in range(3)]), photometric="minisblack"
    )
    said = [note for note in notes(tree) if "several pictures" in note]
    path = tree / "train/good/stack.tif"
    assert said == [f"1 files hold several pictures, of which the first is used; {path} has 3"]
    np.testing.assert_array_equal(decode(path)[..., 0], values_of(0, 4000))


def test_17_the_limit_of_pixels_can_be_set(tree):
    large = tree / "test/good/large.png"
    Image.fromarray(np.zeros((1000, 1200), np.uint8)).save(large)
    with pytest.raises(ImageError, match=r"large\.png: 1\.2 megapixels, more than max_megapixels \(1\.1\); raise it"):
        index(tree, max_megapixels=1.1)
    assert large.as_posix() in index(tree, max_megapixels=1.3).path.tolist()
    assert large.as_posix() not in index(tree, max_megapixels=1.1, unreadable="drop").path.tolist()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_17_images_beyond_pillows_own_limit_are_read(tmp_path, suffix):
    size = (12_000, 15_500)
    Image.new("1", size, 1).save(tmp_path / f"huge.{suffix}")
    with pytest.raises(ImageError, match=r"186\.0 megapixels, more than max_megapixels \(100\)"):
        decode(tmp_path / f"huge.{suffix}", max_megapixels=100.0)
    assert decode_mask(tmp_path / f"huge.{suffix}", max_megapixels=200.0).shape == size[::-1]


def test_all_that_is_wrong_is_said_at_once(tree):
    (tree / "train/good/3.png").write_text("no image")
    (tree / "train/good/4.png").write_bytes(b"")
    Image.new("L", (10, 16)).save(tree / "ground_truth/dent/2_mask.png")
    (tree / "more").mkdir()
    (tree / "linked").symlink_to(tree / "more")
    with pytest.raises(DatasetError, match="bolt has 4 mistakes:\n") as error:
        index(tree)
    for said in (r"linked: a link", "good/3.png: not a readable", "good/4.png: not a readable", "2_mask.png has 10×16"):
        assert said in str(error.value)


def test_one_unreadable_file_can_be_set_aside(tree):
    before = index(tree)
    row = before[before.split == "train"].path.iloc[0]
    Path(row).write_bytes(b"\x89PNG no more")
    (tree / "ground_truth/dent/1_mask.png").write_bytes(b"")
    found = built(tree, unreadable="drop")
    kept = before[before.path != row]
    assert found.table.path.tolist() == kept.path.tolist()
    assert found.table.split.tolist() == kept.split.tolist()
    assert [note.split(":")[0] for note in found.overview.notes[:2]] == ["image dropped", "mask dropped"]
    assert row in found.overview.notes[0]
    assert found.table.set_index("path").loc[(tree / "test/dent/1.png").as_posix(), "mask"] == ""
    assert found.overview.facts["left out"] == "1 images"


def test_12_bits_of_gray_and_color_are_read_on_one_scale(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, SHAPE, np.uint16)
    for name, pixels in (("gray.jp2", values), ("color.jp2", np.repeat(values[..., None], 3, axis=2))):
        (tmp_path / name).write_bytes(imagecodecs.jpeg2k_encode(pixels, bitspersample=12, level=0, reversible=True))
        np.testing.assert_array_equal(decode(tmp_path / name)[..., 0], values)


@pytest.mark.parametrize("image", [np.zeros((30, 40), np.uint8), np.zeros((30, 40, 3)), Image.new("L", (40, 30))])
def test_images_that_are_no_files_may_be_too_large_as_well(image):
    assert decode(image, max_megapixels=0.0012).shape == (30, 40, 3)
    with pytest.raises(ImageError, match=r"0\.0 megapixels, more than max_megapixels"):
        decode(image, max_megapixels=0.0011)
