"""Reading images and masks: every pixel format alike, and both in the same view."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from samples import SIZE, save_mask

from moleflow.images.decoding import ImageError
from moleflow.images.reading import image_pixels, mask_pixels, read_image, read_mask, rotated

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]


def saved_in(mode, path):
    """The same ramp in another pixel format."""
    ramp = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (20, 1))
    if mode == "I;16":
        image = Image.fromarray(ramp.astype(np.uint16) * 257)
    elif mode == "P":
        image = Image.fromarray(ramp).quantize(256)
    else:
        image = Image.fromarray(ramp).convert(mode)
    path = path.with_suffix(".tif" if mode == "CMYK" else ".png")
    image.save(path, transparency=bytes([0])) if mode == "P" else image.save(path)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_every_pixel_format_becomes_rgb(tmp_path, mode):
    path = saved_in(mode, tmp_path / "ramp")
    image = read_image(path, white=None)
    assert (image.mode, image.size) == ("RGB", (40, 20))
    means = np.asarray(image).mean((0, 2))
    assert means[0] < 10
    assert means[-1] > 245
    assert (
        image_pixels(path, 8, "crop", white=None).shape
        == image_pixels(path, 8, "stretch", white=None).shape
        == (3, 8, 8)
    )


def test_values_without_a_known_white_are_refused(tmp_path):
    values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    Image.fromarray(values).save(tmp_path / "float.tif")
    with pytest.raises(ImageError, match=r"float\.tif: values of float32 up to 1 have no known white"):
        read_image(tmp_path / "float.tif", white=None)
    read = np.asarray(read_image(tmp_path / "float.tif", white=0.5))
    np.testing.assert_array_equal(read[..., 0], np.minimum(np.floor(values * 510.0 + 0.5), 255))


@pytest.mark.parametrize(("value", "mode"), [(255, "L"), (3, "L"), (255, "RGB"), (255, "RGBA"), (255, "1"), (255, "P")])
def test_whatever_is_not_zero_in_a_mask_is_defective(tmp_path, value, mode):
    save_mask(tmp_path / "mask.png", value, mode)
    mask = np.asarray(read_mask(tmp_path / "mask.png"))
    assert (mask[:8, :10] == 255).all()
    assert (mask > 0).sum() == 80


def test_what_a_palette_or_transparency_shows_counts(tmp_path):
    """Index 0 may be white, and nothing is drawn where a mask is transparent."""
    mask = Image.new("L", SIZE)
    mask.paste(255, (0, 0, 10, 8))
    inverted = Image.fromarray((np.asarray(mask) == 0).astype(np.uint8), "P")
    inverted.putpalette([255, 255, 255, 0, 0, 0])
    inverted.save(tmp_path / "palette.png")
    clear = Image.new("RGBA", SIZE, (255, 255, 255, 0))
    clear.paste((255, 255, 255, 255), (0, 0, 10, 8))
    clear.save(tmp_path / "clear.png")
    kinds = np.zeros((16, 20, 3), np.uint8)
    kinds[:8, :10, 2] = 1
    Image.fromarray(kinds).save(tmp_path / "kinds.png")
    for name in ("palette", "clear", "kinds"):
        assert (np.asarray(read_mask(tmp_path / f"{name}.png")) == np.asarray(mask)).all(), name


def test_noise_around_zero_in_a_jpeg_mask_is_not_defective(tmp_path):
    save_mask(tmp_path / "mask.jpg")
    mask = np.asarray(read_mask(tmp_path / "mask.jpg"))
    assert set(np.unique(mask)) == {0, 255}
    assert abs(int((mask > 0).sum()) - 80) < 10


def test_views_of_an_image_and_its_mask_agree(tmp_path):
    wide = Image.new("L", (40, 20))
    wide.paste(255, (20, 0, 40, 20))  # the right half
    wide.save(tmp_path / "wide.png")
    for resize in ("stretch", "crop"):
        mask = mask_pixels(tmp_path / "wide.png", 8, resize)
        image = image_pixels(tmp_path / "wide.png", 8, resize, white=None)
        assert image.shape == (3, 8, 8)
        assert mask[:, 4:].all()
        assert not mask[:, :4].any()
        assert ((image[0] > 127) == mask).all()


def test_mask_is_binarized_after_resizing(tmp_path):
    mask = Image.new("L", (4, 4))
    mask.paste(255, (0, 0, 2, 2))
    mask.save(tmp_path / "quarter.png")
    assert mask_pixels(tmp_path / "quarter.png", 2, "stretch").tolist() == [[True, False], [False, False]]
    mask.paste(255, (2, 0, 3, 1))  # a quarter of the next pixel, of the same region
    mask.save(tmp_path / "more.png")
    assert mask_pixels(tmp_path / "more.png", 2, "stretch").tolist() == [[True, False], [False, False]]
    mask.paste(255, (0, 0, 4, 3))
    mask.save(tmp_path / "most.png")
    assert mask_pixels(tmp_path / "most.png", 1, "stretch").all()


def test_a_turned_view_keeps_the_center_and_has_no_black_corners():
    pixels = np.full((3, 31, 31), 90, np.uint8)
    pixels[:, 15, 25] = 255  # to the right of the center
    turned = rotated(pixels, 90.0)
    assert turned.shape == pixels.shape
    assert turned.dtype == np.uint8
    assert np.unravel_index(turned[0].argmax(), (31, 31)) == (5, 15)  # above it
    assert rotated(np.full((3, 31, 31), 90, np.uint8), 45.0).min() == 90


@pytest.mark.parametrize("white", [None, 1023.0, 4095.0, 5000.0, 65535.0])
def test_every_value_of_16_bits_is_scaled_alike_in_the_memory_of_a_row(white):
    values = np.tile(np.arange(65536, dtype=np.uint16).reshape(256, 256), (4, 4))
    expected = np.clip(np.floor(values.astype(np.float64) * (255 / (white or 65535)) + 0.5), 0, 255)
    tracemalloc.start()
    found = np.asarray(read_image(values, white=white))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, 2))
    assert peak < 8 * values.size
