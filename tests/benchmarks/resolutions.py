"""`make resolutions`: views, backbones and presets side by side, with what they cost.

Every row is the scenario large (retina, hubble and motorcycle; with --root DeepPCB's part too) in a clone of a commit
with some values changed, as in `make quality`, whose way to keep what ran it shares. Minutes to half an hour a row.

    python tests/benchmarks/resolutions.py FOLDER --root ../shared/data --rows fast default accurate
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from quality import ROOT, Classes, demo_of, metrics_of, products_of, shell

from moleflow.protocols.presets import PRESETS
from moleflow.report.tables import Table, cell

LITE0, LITE2, VIT_S = PRESETS["lite0"], PRESETS["lite2"], PRESETS["vit_s"]
FINE, ACCURATE = PRESETS["fine"], PRESETS["accurate"]
BY_LITE0 = {"backbone": LITE0["backbone"], "embed_dim": 496}
WITHOUT_GAUSSIANS = {"gaussian_rank": 0}
ROWS: dict[str, dict[str, Any]] = {
    "fast": PRESETS["fast"],
    "default": LITE0,
    "fine": FINE,
    "accurate": ACCURATE,
    "accurate by lite0": ACCURATE | BY_LITE0,
    "accurate by lite0, centers": ACCURATE | BY_LITE0 | {"memory_center": "position"},
    "320 px on 28×28": LITE0 | {"img_size": 320},
    "fine, no Gaussians": FINE | WITHOUT_GAUSSIANS,
    "448 px on 56×56": LITE0 | {"img_size": 448, "grid": 56},
    "2×2 tiles on 56×56": LITE0 | {"tiles": 2, "grid": 56},
    "stride 32": LITE0 | {"layers": [1, 2, 3, 4], "embed_dim": 496},
    "no Gaussians": LITE0 | WITHOUT_GAUSSIANS,
    "lite2": LITE2,
    "vit_s": VIT_S,
    "vit_s, no neighborhood": VIT_S | {"neighborhood": 1},
    "vit_s, no neighborhood, not whitened": VIT_S | {"neighborhood": 1, "standardize": "product"},
}
ALIKE: dict[str, Any] = {"baselines": []}  # of all rows, which takes less time
METRICS = {"image AUROC": "image_auroc", "pixel AP": "pixel_ap", "AUPRO": "aupro"}
ROUTED = {"router right": "routing_accuracy", "open set AUROC": "open_set_auroc"}
ALARMS = {"false alarms": "false_alarm_rate_own_expert", "recall": "recall_own_expert"}
MEGABYTE = 1e6


def mean(classes: Classes, key: str) -> str:
    """Mean of a metric over the products that have it."""
    found = [line[key] for line in classes.values() if line.get(key) is not None]
    return cell(float(np.mean(found)) if found else None)


def bytes_of(costs: dict[str, Any], *stages: str) -> str:
    """Megabytes that some stages wrote, per product."""
    found = [line["bytes"] for stage in stages for line in costs["stages"].get(stage, {}).values()]
    return f"{sum(found) / max(1, len(costs['products'])) / MEGABYTE:.1f}"


PRICE = ("seconds", "extracting", "learning", "MB of features", "MB of prototype and expert", "peak MB")


def price_of(costs: dict[str, Any]) -> list[str]:
    """The cells of `PRICE` by metrics/costs.json; a dash where stages came from the cache."""
    stages = costs["stages"]
    extracted = costs["products"].keys() <= stages.get("extract", {}).keys()
    seconds = {stage: sum(line["seconds"] for line in lines.values()) for stage, lines in stages.items()}
    peak = max(line["peak_memory_bytes"] for lines in stages.values() for line in lines.values())
    whole = sum(seconds.values()) if extracted and "base" in stages else None
    learning = seconds.get("base", 0) + seconds.get("train", 0) or None
    cells = [
        "–" if each is None else f"{each:.0f}" for each in (whole, seconds["extract"] if extracted else None, learning)
    ]
    return [
        *cells,
        bytes_of(costs, "extract") if extracted else "–",
        bytes_of(costs, "prototype", "train"),
        f"{peak / MEGABYTE:.0f}",
    ]


def main() -> None:
    """Runs what is missing, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root")
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--print", action="store_true", help="only print the rows that are there")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    commit = shell(ROOT, "git", "rev-parse", "--short=7", arguments.commit).strip()
    products = products_of(arguments.root, demo_of(folder), dataset="large")
    quality, every, price = [], [], []
    for row in arguments.rows:
        name = f"large, {row}"
        classes = metrics_of(folder, commit, name, ROWS[row] | ALIKE, products, run=not arguments.print)
        kept = folder / "metrics" / commit / f"{name}.costs.json"
        if not kept.is_file():
            continue
        keys = [f"{key}_own_expert" for key in METRICS.values()] + list(ROUTED.values()) + list(ALARMS.values())
        quality.append([row, *(mean(classes, key) for key in keys)])
        every += [
            [row, product, *(cell(line.get(f"{key}_own_expert")) for key in METRICS.values())]
            for product, line in classes.items()
        ]
        price.append([row, *price_of(json.loads(kept.read_text()))])
    print(f"Means over {', '.join(products)}, product given, seed 0, {commit}:\n")
    print(Table(["row", *METRICS, *ROUTED, *ALARMS], quality).markdown())
    print("\nProduct by product:\n")
    print(Table(["row", "product", *METRICS], every).markdown())
    print("\nCosts; megabytes are per product, the peak is the largest of any stage:\n")
    print(Table(["row", *PRICE], price).markdown())


if __name__ == "__main__":
    sys.exit(main())
