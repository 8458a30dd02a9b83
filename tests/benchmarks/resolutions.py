"""`make resolutions`: views, backbones and presets side by side, with what they cost.

Every row is a scenario (large: retina, hubble and motorcycle, with --root DeepPCB's part too; or dev) in a clone of a
commit with some values changed, as in `make quality`, whose way to keep what ran it shares. Minutes to half an hour
a row.

    python tests/benchmarks/resolutions.py FOLDER --root ../shared/data --scenario dev --rows fast default accurate
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from quality import ROOT, Classes, demo_of, metrics_of, products_of, shell
from quality_tables import APART

from moleflow.protocols.presets import PRESETS
from moleflow.report.tables import Table, cell
from moleflow.scoring.scores import CANDIDATES

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
METRICS = {  # of metrics/classes.json, product given but for the router's
    "image AUROC": "image_auroc_own_expert",
    "pixel AP": "pixel_ap_own_expert",
    "AUPRO": "aupro_own_expert",
    "false alarms": "false_alarm_rate_own_expert",
    "recall": "recall_own_expert",
    "router right": "routing_accuracy",
    "open set AUROC": "open_set_auroc",
    "unknown rejected": "unknown_rejected",
    "defective rejected": "rejected_defective",
}
UNCHOSEN = "without the choice"  # image AUROC by the score that judges where the probe asks for no other
MEGABYTE = 1e6


def megabytes(costs: dict[str, Any], product: str, task: str) -> str:
    """Of a later product's prototype and expert; the first product's expert is written with the base."""
    stages = costs["stages"]
    parts = [stages.get("prototype", {}).get(product), stages.get("train", {}).get(task)]
    return "–" if None in parts else f"{sum(part['bytes'] for part in parts) / MEGABYTE:.1f}"


def with_choices(classes: Classes, probe: dict[str, Any]) -> Classes:
    """Metrics by product, with what judges its images and what the first of `CANDIDATES` would be worth."""
    for product, weighed in probe.items():
        found = weighed["candidates"]
        first = next(found[name] for name in CANDIDATES if name in found)
        classes[product] |= {UNCHOSEN: first["test_image_auroc"], "judged by": weighed.get("judged_by", "–")}
    return classes


def mean(classes: Classes, key: str, apart: tuple[str, ...]) -> str:
    """Mean of a metric over the products that have it and do not stand apart."""
    found = [line[key] for name, line in classes.items() if line.get(key) is not None and name not in apart]
    return cell(float(np.mean(found)) if found else None)


def product_line(line: dict[str, Any]) -> list[str]:
    """The cells of a product."""
    cells = {title: cell(line.get(key)) for title, key in METRICS.items()}
    low = line.get("false_alarm_low_own_expert")
    cells["false alarms"] += "" if low is None else f" ({low:.2f})"
    image, *others = cells.values()
    return [image, cell(line.get(UNCHOSEN)), str(line.get("judged by", "–")), *others]


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
    parser.add_argument("--scenario", choices=("large", "dev"), default="large")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--print", action="store_true", help="only print the rows that are there")
    arguments = parser.parse_args()
    folder, dataset = arguments.folder.absolute(), arguments.scenario
    commit = shell(ROOT, "git", "rev-parse", "--short=7", arguments.commit).strip()
    products = products_of(arguments.root, demo_of(folder), dataset=dataset)
    apart = APART if dataset == "dev" else ()
    means, every, price = [], [], []
    for row in arguments.rows:
        name = f"{dataset}, {row}"
        classes = metrics_of(folder, commit, name, ROWS[row] | ALIKE, products, run=not arguments.print)
        kept = {more: folder / "metrics" / commit / f"{name}.{more}.json" for more in ("costs", "probe")}
        if not kept["costs"].is_file():
            continue
        classes = with_choices(classes, json.loads(kept["probe"].read_text()))
        first, *others = METRICS.values()
        means.append([row, *(mean(classes, key, apart) for key in (first, UNCHOSEN, *others))])
        costs = json.loads(kept["costs"].read_text())
        every += [
            [row, product, *product_line(line), megabytes(costs, product, products[product].task)]
            for product, line in classes.items()
        ]
        price.append([row, *price_of(costs)])
    first, *others = METRICS
    over = ", ".join(name for name in products if name not in apart)
    print(f"Means over {over}, product given, seed 0, {commit}:\n")
    print(Table(["row", first, UNCHOSEN, *others], means).markdown())
    print("\nProduct by product; in brackets where the interval of false alarms begins; MB of prototype and expert:\n")
    print(Table(["row", "product", first, UNCHOSEN, "judged by", *others, "MB"], every).markdown())
    print("\nCosts; megabytes are per product, the peak is the largest of any stage:\n")
    print(Table(["row", *PRICE], price).markdown())


if __name__ == "__main__":
    sys.exit(main())
