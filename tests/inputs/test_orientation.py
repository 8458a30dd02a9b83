"""8. Pictures that are to be turned before they are shown."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from trees import index, picture

from moleflow.images.reading import image_pixels, mask_pixels, read_image, read_mask


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
    found = np.asarray(read_image(path, white=None))
    np.testing.assert_array_equal(found, expected)
    assert found.shape[:2] == ((16, 24) if orientation < 5 else (24, 16))
    assert image_pixels(path, 16, "stretch", white=None).shape == (3, 16, 16)


def test_08_a_mask_is_turned_by_its_own_orientation(tree):
    """The image says that it is to be turned, its mask is drawn upright: they agree."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((16, 20, 3), np.uint8)
    pixels[2:6, 3:9] = 255
    Image.fromarray(pixels).save(tree / "test/dent/0.png", exif=exif)
    upright = np.asarray(read_image(tree / "test/dent/0.png", white=None))
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
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "a.png", white=None)), pixels)
