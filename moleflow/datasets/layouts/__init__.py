"""Layouts of data sets: from a product's folder to the list of its images."""

from collections.abc import Callable
from pathlib import Path

from moleflow.datasets.layouts.btad import scan_btad
from moleflow.datasets.layouts.folder import scan_folder
from moleflow.datasets.layouts.mvtec import scan_mvtec
from moleflow.datasets.layouts.mvtec3d import scan_mvtec3d
from moleflow.datasets.layouts.mvtec_loco import scan_mvtec_loco
from moleflow.datasets.layouts.visa import scan_visa
from moleflow.datasets.sample import Sample

LAYOUTS: dict[str, Callable[[Path], list[Sample]]] = {
    "mvtec": scan_mvtec,
    "btad": scan_btad,
    "mvtec3d": scan_mvtec3d,
    "mvtec_loco": scan_mvtec_loco,
    "visa": scan_visa,
    "folder": scan_folder,
}
