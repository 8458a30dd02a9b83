"""Scores in HDF5: read back whole, the same bytes for the same content."""

import numpy as np

from moleflow.files.record_file import Record, read_record, write_record


def test_record_is_read_back_and_bytes_repeat(tmp_path):
    record = Record(
        {"test/a": np.arange(6.0).reshape(2, 3), "b": np.array([b"x", b"yz"])}, {"threshold": 1.5, "name": "n"}
    )
    for name in ("one.h5", "two.h5"):
        write_record(tmp_path / name, record)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    read = read_record(tmp_path / "one.h5")
    assert read.attributes == record.attributes
    np.testing.assert_array_equal(read.group("test")["a"], record.arrays["test/a"])
    below = read_record(tmp_path / "one.h5", "test").arrays
    assert below.keys() == {"a"}
    np.testing.assert_array_equal(below["a"], record.arrays["test/a"])
    assert read.arrays["b"].tolist() == [b"x", b"yz"]
