"""The demo's products."""

from trees import SETTINGS

from moleflow.datasets.demo import write_demo
from moleflow.datasets.index import build_index

DEFAULTS = ["elpv_poly", "brick", "grass", "elpv_mono", "gravel"]


def test_demo_is_sound_seeded_and_its_masks_are_exact(tmp_path):
    write_demo(tmp_path / "a")
    write_demo(tmp_path / "b")
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png"))
    assert all((tmp_path / "a" / each).read_bytes() == (tmp_path / "b" / each).read_bytes() for each in files)
    products = sorted(path for path in (tmp_path / "a").iterdir())
    for_scenarios = ["hubble", "motorcycle", "narrow", "retina"]
    assert [each.name for each in products] == sorted([*DEFAULTS, *for_scenarios])
    for root in products:
        table = build_index(root, **SETTINGS).table
        assert set(table["split"]) == {"train", "calibration", "test"}
        assert (table[table.label == 1]["mask"] != "").all() == (not root.name.startswith("elpv"))
