"""Names of the probe's images."""

import numpy as np

from moleflow.files.probe_names import kinds_of, probe_names, sources_of


def test_images_of_the_probe_are_dealt_over_all_held_out_ones():
    names = probe_names(["blur", "scar"], 3, 5)
    assert names == ["blur/0", "blur/1", "blur/2", "scar/3", "scar/4", "scar/0"]
    np.testing.assert_array_equal(kinds_of(names), ["blur"] * 3 + ["scar"] * 3)
    np.testing.assert_array_equal(sources_of(names), [0, 1, 2, 3, 4, 0])
    assert sources_of([]).shape == kinds_of(probe_names([], 3, 5)).shape == (0,)
