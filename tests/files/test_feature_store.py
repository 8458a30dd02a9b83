"""Law 5: what was written is read back; other features are refused with both values named."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import ORIGIN

from moleflow.files.feature_store import (
    SHARD,
    Origin,
    StoreError,
    open_split,
    require_same_origin,
    write_masks,
    write_split,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 2 * SHARD + 5), batch=st.integers(1, SHARD + 9))
def test_reads_back_what_was_written_whatever_the_batches(tmp_path_factory, count, batch):
    store = tmp_path_factory.mktemp("store")
    maps = [torch.randn(count, 3, 4, 4).half(), torch.randn(count, 5, 2, 2).half()]
    images = [f"{row}.png" for row in range(count)]
    write_split(store / "test", ORIGIN, images, zip(*(layer.split(batch) for layer in maps), strict=True))
    split = open_split(store, "test")
    assert split.images == images
    assert split.origin == ORIGIN
    for read, written in zip(split.maps(), maps, strict=True):
        assert read.dtype == torch.float16
        assert read.equal(written)
    rows = np.flatnonzero(np.random.default_rng(0).random(count) < 0.3)
    if len(rows):
        assert torch.cat([some[0] for some in split.batches(rows)]).equal(maps[0][rows])


def test_digest_follows_features_names_and_origin(make_split):
    maps = [torch.randn(4, 6, 8, 8), torch.randn(4, 10, 4, 4)]
    changed = [maps[0].clone(), maps[1]]
    changed[0][2, 3, 4, 5] += 0.5
    splits = [
        make_split(maps=maps, name="a"),
        make_split(maps=maps, name="b"),
        make_split(maps=changed, name="c"),
        make_split(maps=maps, name="d", origin=replace(ORIGIN, img_size=64)),
        make_split(maps=maps, name="e", origin=replace(ORIGIN, orient="principal_axis")),
    ]
    digests = [split.digest() for split in splits]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
    assert [split.origin.orient for split in splits] == ["none"] * 4 + ["principal_axis"]


def test_where_nothing_is_turned_an_origin_is_written_as_before_orient(make_split):
    """Or digests of features, prototypes and experts would move."""
    keys = ["backbone", "weights_digest", "layers", "img_size", "resize", "white", "tiles"]
    assert list(make_split().group.attrs["origin"]) == list(ORIGIN.written()) == keys
    values = "backbone='b', weights_digest='0', layers=[1], img_size=8, resize='crop', white=None, tiles=1"
    origin = Origin("b", "0", [1], 8, "crop")
    assert repr(origin) == f"Origin({values})"
    assert repr(replace(origin, orient="principal_axis")) == f"Origin({values}, orient='principal_axis')"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("backbone", "other.tag"),
        ("layers", [1]),
        ("img_size", 64),
        ("weights_digest", "1"),
        ("resize", "crop"),
        ("orient", "principal_axis"),
    ],
)
def test_other_origin_is_refused_with_both_values(tmp_path, key, value):
    with pytest.raises(StoreError) as error:
        require_same_origin(ORIGIN, replace(ORIGIN, **{key: value}), tmp_path)
    assert repr(value) in str(error.value)
    assert repr(getattr(ORIGIN, key)) in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_features_that_overflow_fp16_name_the_image(tmp_path):
    maps = torch.zeros(3, 2, 2, 2)
    maps[1] = 1e9
    with pytest.raises(StoreError, match=r"b\.png: layer 1"):
        write_split(tmp_path / "train", replace(ORIGIN, layers=[1]), ["a.png", "b.png", "c.png"], [[maps]])


def test_missing_or_broken_store_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"nowhere.zarr/train is not a feature store.*dvc repro"):
        open_split(tmp_path / "nowhere.zarr", "train")
    write_split(tmp_path / "s.zarr" / "train", ORIGIN, ["a.png"], [[torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)]])
    (tmp_path / "s.zarr" / "train" / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match=r"s\.zarr"):
        open_split(tmp_path / "s.zarr", "train")


def test_masks_are_read_back(make_split, tmp_path):
    split = make_split(count=3, name="probe")
    masks = np.random.default_rng(0).random((3, 8, 8)) < 0.5
    write_masks(tmp_path / "probe.zarr" / "train", masks)
    np.testing.assert_array_equal(open_split(tmp_path / "probe.zarr", "train").masks(), masks)
    assert split.images == ["000.png", "001.png", "002.png"]


def test_a_store_with_a_part_missing_is_refused_by_name(tmp_path):
    """zarr itself reads a missing shard as its fill value."""
    images = [f"{row}.png" for row in range(SHARD + 3)]
    write_split(
        tmp_path / "s.zarr/train",
        ORIGIN,
        images,
        [[torch.randn(len(images), 6, 8, 8), torch.randn(len(images), 10, 4, 4)]],
    )
    split = open_split(tmp_path / "s.zarr", "train")
    before = split.digest()
    shards = [path for path in (tmp_path / "s.zarr/train/layer2/c").rglob("*") if path.is_file()]
    assert len(shards) == 2
    for shard in shards:
        kept = shard.read_bytes()
        shard.unlink()
        with pytest.raises(StoreError, match=r"s\.zarr/train: a shard of layer2 is missing; delete .*s\.zarr and run"):
            split.digest()
        shard.write_bytes(kept[: len(kept) // 2])
        with pytest.raises(StoreError, match=r"s\.zarr/train: layer2 cannot be read \("):
            split.maps()
        shard.write_bytes(kept)
    assert split.digest() == before
