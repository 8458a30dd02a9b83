"""Trees drawn at random: the gate reads the same images in whatever order they were written, mentions what it does not
read, and ends with an index or with one error of ours."""

import shutil
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from trees import built

from moleflow.config.errors import MoleflowError
from moleflow.images.listing import is_hidden

FOLDERS = (
    "train/good",
    "train/good/monday",
    "test/good",
    "test/dent",
    "test/dent/b",
    "ground_truth/dent",
    "test",
    "more",
)
STEMS = ("0", "1", "2", "ä ö", "._3", "3_mask", "0_mask", "x,y")
KINDS = ("png", "JPG", "webp", "pgm", "txt", "broken", "db")
FILES = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(STEMS), st.sampled_from(KINDS), st.integers(0, 3))


def write(root, files):
    """Files of some kinds; equal numbers are equal pictures."""
    for folder, stem, kind, seed in files:
        path = root / folder / f"{stem}.{'png' if kind == 'broken' else kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind in ("txt", "broken", "db"):
            path.write_bytes(b"no picture")
        else:
            pixels = np.random.default_rng(seed).integers(0, 255, (12, 10), dtype=np.uint8)
            Image.fromarray(pixels).save(path)


def base_files():
    """What a sound product has."""
    for number in range(8):
        yield "train/good", f"base{number}", "png", 10 + number
    yield "test/good", "base", "png", 30
    yield "test/dent", "base", "png", 31


def outcome(root):
    """What was used and how; or the error."""
    try:
        table, seen = built(root, calibration_fraction=0.25, duplicates="drop")
    except MoleflowError as error:
        said = str(error)
        table = None
    if table is None:
        assert str(root) in said
        return said.replace(str(root), "")
    used = {*table.path, *filter(None, table["mask"])}
    unread = [path for path in root.rglob("*") if path.is_file() and path.as_posix() not in used]
    hidden = [path for path in unread if any(is_hidden(part) for part in (path, *path.parents) if part != root)]
    said = " ".join(seen.notes)
    for path in set(unread) - set(hidden):
        folder = (path.parent.relative_to(root) / f"*{path.suffix}").as_posix()
        assert str(path) in said or f"files {folder} left out" in said, path
    columns = ["path", "split", "label", "defect", "mask"]
    return [[str(cell).replace(str(root), "") for cell in row] for row in table[columns].values.tolist()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(FILES, max_size=12), order=st.randoms(use_true_random=False))
def test_a_tree_is_read_alike_in_any_order_and_nothing_unread_is_unmentioned(tmp_path_factory, files, order):
    written = {
        (folder, stem, kind if kind != "broken" else "png"): (folder, stem, kind, seed)
        for folder, stem, kind, seed in files
    }
    every = [*base_files(), *written.values()]
    shuffled = list(every)
    order.shuffle(shuffled)
    found = []
    for variant in (every, shuffled):
        root = tmp_path_factory.mktemp("tree") / "bolt"
        write(root, variant)
        found.append(outcome(root))
        shutil.rmtree(root.parent)
    assert found[0] == found[1]
    assert isinstance(found[0], str) or Path(found[0][0][0]).suffix
