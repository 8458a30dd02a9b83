"""4. Links to files and to folders."""

import numpy as np
import pytest
from trees import index

from moleflow.datasets.sample import DatasetError
from moleflow.images.reading import read_image


def test_04_a_linked_folder_below_the_product_is_refused(tree, tmp_path):
    (tree / "train/good").rename(tmp_path / "elsewhere")
    (tree / "train/good").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"train/good: a link to a folder, whose images could change without DVC"):
        index(tree)


def test_04_links_to_files_and_a_linked_product_are_read(tree, tmp_path):
    target = tmp_path / "kept.png"
    (tree / "train/good/3.png").rename(target)
    (tree / "train/good/3.png").symlink_to(target)
    (tmp_path / "link").symlink_to(tree)
    table = index(tmp_path / "link")
    assert len(table) == 15
    np.testing.assert_array_equal(
        np.asarray(read_image(tmp_path / "link/train/good/3.png", white=None)),
        np.asarray(read_image(target, white=None)),
    )
