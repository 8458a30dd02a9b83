"""What is known of an image once it was read."""

import hashlib

import numpy as np
import pytest
import tifffile

from moleflow.datasets.picture import examine
from moleflow.datasets.sample import Sample
from moleflow.images.decoding import decode


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, ">u2", np.float32])
@pytest.mark.parametrize("shape", [(16, 20), (16, 20, 3)])
def test_the_content_is_the_digest_of_shape_type_and_values(tmp_path, kind, shape):
    path = tmp_path / "a.tif"
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, shape).astype(kind), photometric=photometric)
    values = decode(path)
    expected = hashlib.sha256(f"{values.shape} {values.dtype}".encode() + values.tobytes()).hexdigest()
    assert examine(Sample(path, "train", 0, "good", None), "train", max_megapixels=1.0).content == expected
