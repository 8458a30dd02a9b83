"""`make variants`: the lab diary's variants beside the preset `original`, on two of the default products.

A first look, not an ablation: one seed, learning only, every product judged by its own expert. Features are those that
`dvc repro extract` stored; where the loss has a margin, the painted images are those of the probe. A finished row is
kept in the folder until the code or its values change; a row that fails is named and tried again the next time. Rows
are those of tests/variants.py.

    python tests/benchmarks/variants.py FOLDER [--data DATA] [--only film,tape] [--set epochs=1]
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from kept_rows import Row, changed, code_of, exit_by, kept_or_measured  # noqa: E402
from variants import VARIANTS, Variant  # noqa: E402

from moleflow.compute.device import find_device  # noqa: E402
from moleflow.compute.precision import matrix_products  # noqa: E402
from moleflow.config.params import read_params  # noqa: E402
from moleflow.evaluation.metrics import pixel_ranking, ranking  # noqa: E402
from moleflow.features.prototype import build_prototype  # noqa: E402
from moleflow.files.feature_store import READ_AT_ONCE, open_split  # noqa: E402
from moleflow.files.paths import Paths  # noqa: E402
from moleflow.flow.density import Density, base_parameters, base_state, expert_state  # noqa: E402
from moleflow.images.index_table import read_index  # noqa: E402
from moleflow.images.reading import mask_pixels  # noqa: E402
from moleflow.learning.training import Recipe, train  # noqa: E402
from moleflow.protocols.presets import PRESETS  # noqa: E402
from moleflow.report.tables import Table, cell  # noqa: E402
from moleflow.scoring.aggregation import aggregate  # noqa: E402
from moleflow.scoring.maps import anomaly_maps  # noqa: E402

PRODUCTS = ("brick", "grass")  # the first task's and a later one's; both have masks
PATCHING = ("neighborhood", "embed_dim", "grid", "layer_merge")
ORIGINAL = Variant({}, "wrn15 0.979/0.974/0.474")


class Product:
    """Features of a product and what is true of its test images."""

    def __init__(self, root: Path, name: str, settings: Row) -> None:
        paths = Paths(root)
        store = paths.features.of(name)
        splits = [open_split(store, split) for split in ("train", "rotated", "calibration")]
        self.prototype = build_prototype(
            *splits,
            patching={key: settings[key] for key in PATCHING},
            standardize=settings["standardize"],
            router_rank=settings["router_rank"],
            device=find_device(settings["device"]),
        )
        self.channels = self.prototype.modeled(settings["flow_layers"])
        self.learned = self.prototype.standardized(*splits[:2]).first(self.channels)
        self.painted = self.prototype.standardized(open_split(paths.probes.of(name), "probe")).first(self.channels)
        test = open_split(store, "test")
        self.test = self.prototype.standardized(test).first(self.channels)
        table = read_index(paths.index.of(name)).set_index("path").loc[test.images]
        self.labels, size = table.label.to_numpy(), settings["eval_size"]
        empty = np.zeros((size, size), bool)
        files = table["mask"]
        self.masks = np.stack([mask_pixels(root / file, size, settings["resize"]) if file else empty for file in files])

    def judged(self, density: Density, settings: Row) -> Row:
        """Image AUROC and pixel AP of the test images by the likelihood."""
        nll = []
        with torch.inference_mode():
            for start in range(0, len(self.test), READ_AT_ONCE):
                batch = self.test[start : start + READ_AT_ONCE].float()
                with matrix_products(batch.device, Recipe(**of_recipe(settings)).dtype):
                    nll.append(density(batch).nll.float().cpu())
        scores = torch.cat(nll).numpy()
        maps = anomaly_maps(scores, size=settings["eval_size"], sigma=settings["map_sigma"])
        return {
            "image_auroc": ranking(self.labels, aggregate(scores, settings)).auroc,
            "pixel_ap": pixel_ranking(self.masks, maps).ap,
        }


def of_recipe(settings: Row) -> Row:
    """The keys of training."""
    return {key: settings[key] for key in Recipe.model_fields}


def measured(products: dict[str, Product], settings: Row) -> Row:
    """Learns the first product with the base and the others over it, and judges their test images."""
    recipe, device = Recipe(**of_recipe(settings)), find_device(settings["device"])
    row: Row = {"seconds": 0.0, "products": {}}
    base: dict[str, torch.Tensor] = {}
    for name, product in products.items():
        first = not base
        density = Density(product.channels, settings, first=first, seed=settings["seed"])
        density.load_state_dict(base, strict=False)
        density, expert = density.to(device), expert_state(density)
        trained = [*(base_parameters(density) if first else []), *expert.items()]
        start = time.monotonic()
        painted = {name: product.painted} if recipe.margin_weight else None
        curve = train(density, {name: expert}, {name: product.learned}, trained, recipe, label=name, painted=painted)
        row["seconds"] += time.monotonic() - start
        base = base or {key: tensor.detach().cpu().clone() for key, tensor in base_state(density).items()}
        row["products"][name] = {"curve": curve, **product.judged(density.eval(), settings)}
        row |= {
            "own": sum(tensor.numel() for tensor in expert.values()),
            "shared": sum(tensor.numel() for _, tensor in base_parameters(density)),
        }
    return row


def mean_of(row: Row, metric: str) -> float | None:
    """Mean over the products."""
    values = [product[metric] for product in row["products"].values()]
    return None if None in values else float(np.mean(values))


def line(name: str, variant: Variant, row: Row, reference: float | None) -> list[str]:
    """A row's cells."""
    changes = changed(variant.changes)
    if "failed" in row:
        return [name, changes, f"failed: {row['failed']}", *[""] * 7, variant.diary]
    nll = [product["curve"][-1]["nll"] for product in row["products"].values()]
    auroc = mean_of(row, "image_auroc")
    apart = "" if auroc is None or reference is None else f"{auroc - reference:+.3f}"
    return [
        name, changes, "yes", " / ".join(f"{value:.3f}" for value in nll), cell(auroc), apart,
        cell(mean_of(row, "pixel_ap")), f"{row['seconds']:.0f}", f"{row['own']:,}", f"{row['shared']:,}", variant.diary,
    ]  # fmt: skip


def main() -> None:
    """Measures what is missing, and prints the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT, help="repository whose features are read")
    parser.add_argument("--only", default="", help="parts of names of rows, separated by commas")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="for all rows")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    set_for_all = {key: YAML(typ="safe").load(value) for key, value in (each.split("=", 1) for each in arguments.set)}
    settings = read_params(ROOT / "params.yaml") | PRESETS["original"] | set_for_all
    products = {name: Product(arguments.data, name, settings) for name in PRODUCTS}
    wanted = arguments.only.split(",")
    chosen = {name: variant for name, variant in VARIANTS.items() if any(part in name for part in wanted)}
    chosen = {"original": ORIGINAL, **chosen}
    code = code_of(*(ROOT / "moleflow" / room for room in ("flow", "learning", "features")))
    rows = {}
    for name, variant in chosen.items():
        asked = settings | variant.changes
        measure = partial(measured, products, asked)
        rows[name] = kept_or_measured(arguments.folder, name, [code, list(products), asked], measure)
    original = None if "failed" in rows["original"] else mean_of(rows["original"], "image_auroc")
    lines = [line(name, variant, rows[name], original) for name, variant in chosen.items()]
    header = ["variant", "changes", "loss finite", f"last nll, {' / '.join(PRODUCTS)}", "image AUROC", "to original"]
    header += ["pixel AP", "seconds", "own parameters", "shared parameters", "the diary's number"]
    said = " ".join(arguments.set) or "nothing else changed"
    print("# The lab diary's variants: a first look\n")
    print(f"`make variants`: preset `original`, {said}, seed {settings['seed']}, products {', '.join(PRODUCTS)}: the")
    print("base and the first expert are learned on the first, another expert over it on the second; each product is")
    print("judged by its own expert, by nll alone. Metrics are means over the two; nll is in nats per channel; seconds")
    print(
        "are those of learning both. One seed on two products says what works, not what is better. The diary's numbers"
    )
    print("are image AUROC/pixel AUROC/pixel AP on other products; [method.md](method.md) has the formulas.\n")
    print(Table(header, lines).markdown())
    exit_by(rows)


if __name__ == "__main__":
    main()
