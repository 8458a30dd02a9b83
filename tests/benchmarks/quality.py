"""`make quality`: detection, routing, unknown products, alarms and contaminated training images on the dev set.

Every run is a clone of a commit, whose params.yaml gets the products of `moleflow scenario dev` and the changes of the
run, and then `dvc repro`; all of them share DVC's cache. Its metrics are kept in the folder, so that the command goes
on where it was cut off, and only prints tables once all runs are there; with --print it runs nothing. Minutes a run.
Without --root the products are the defaults and narrow.

    python tests/benchmarks/quality.py FOLDER --root ../shared/data --commits e03b841 HEAD --seeds 0 1 2 3 \
        --orders default reversed
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from quality_tables import APART, Classes, detection, followed_probe, left_out_choices, means_by_run, table  # noqa: E402

from moleflow.config.products import ProductClass  # noqa: E402
from moleflow.protocols.presets import PRESETS  # noqa: E402
from moleflow.protocols.scenarios import scenario  # noqa: E402

OF_SCENARIOS = {"narrow", "retina", "hubble", "motorcycle"}  # the demo writes them for scenarios alone
# Of the newest commit.
VARIANTS: dict[str, dict[str, Any]] = {"shifted": {"alarm_for": "shifted"}}
VARIANTS |= {
    f"{contaminated} contaminated, {suspected} suspects": {
        "contamination": contaminated,
        "suspects": suspected,
        "baselines": [],
    }
    for contaminated, suspected in ((0.1, 0.0), (0.1, 0.1), (0.0, 0.1), (0.05, 0.0), (0.05, 0.1))
}


def demo_of(folder: Path) -> Path:
    """The demo's products as today's code writes them, for commits that knew fewer."""
    demo = folder / "demo/data/raw/demo"
    if not demo.is_dir():
        shell(ROOT, "git", "clone", "-q", str(ROOT), str(folder / "demo"))
        shell(folder / "demo", sys.executable, "-m", "stages.check")
        shell(folder / "demo", sys.executable, "-m", "stages.demo")
    return demo


def products_of(root: str | None, demo: Path, order: str = "default", dataset: str = "dev") -> dict[str, ProductClass]:
    """The products of a scenario, with absolute paths where images are not the default run's own."""
    products = scenario(dataset, "1-1", root=root and str(Path(root).absolute()), order=order)
    missing = [name for name, line in products.items() if line.path.startswith("/") and not Path(line.path).is_dir()]
    if missing or root is None:
        print(f"left out, since their folders are missing: {', '.join(missing) or 'all of --root'}\n", file=sys.stderr)
    for name in sorted(products.keys() & OF_SCENARIOS):
        products[name] = products[name].model_copy(update={"path": str(demo / name)})
    return {name: line for name, line in products.items() if name not in missing}


def shell(folder: Path, *command: str) -> str:
    """Runs a command in a clone, with the clone's own code."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} in {folder} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def set_params(file: Path, products: dict[str, ProductClass], changes: dict[str, Any]) -> None:
    """Writes products and changed values; the commit may be older than the keys that today's code asks for."""
    params = yaml.safe_load(file.read_text())
    params["classes"] = {name: line.model_dump(exclude_none=True) for name, line in products.items()}
    params["first_task"], *params["later_tasks"] = dict.fromkeys(line.task for line in products.values())
    file.write_text(yaml.safe_dump(params | changes, sort_keys=False))


def metrics_of(
    folder: Path, commit: str, name: str, changes: dict[str, Any], products: dict[str, ProductClass], *, run: bool
) -> Classes:
    """Metrics by product of a commit with some values changed; runs the pipeline unless it ran before."""
    kept = folder / "metrics" / commit / f"{name}.json"
    if not kept.is_file() and not run:
        return {product: {} for product in products}
    if not kept.is_file():
        clone = folder / commit
        if not clone.is_dir():
            shell(ROOT, "git", "clone", "-q", str(ROOT), str(clone))
            shell(clone, "git", "checkout", "-q", commit)
            shell(clone, "dvc", "cache", "dir", "--local", str(folder / "cache"))
        shell(clone, "git", "checkout", "-q", ".")
        (clone / "metrics/costs.json").unlink()  # of the commit's own run
        set_params(clone / "params.yaml", products, changes)
        print(f"{commit}, {name}: dvc repro", file=sys.stderr)
        shell(clone, "dvc", "repro")
        kept.parent.mkdir(parents=True, exist_ok=True)
        for more in ("probe", "costs"):
            shutil.copy(clone / f"metrics/{more}.json", kept.with_suffix(f".{more}.json"))
        shutil.copy(clone / "metrics/classes.json", kept)
    return json.loads(kept.read_text().replace('_oracle"', '_own_expert"'))


def main() -> None:
    """Runs what is missing, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--root")
    parser.add_argument("--commits", nargs="+", default=["HEAD"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--orders", nargs="+", default=["default"], help="of the newest commit; see moleflow scenario")
    parser.add_argument("--print", action="store_true", help="only print the tables of the runs that are there")
    arguments = parser.parse_args()
    run = not arguments.print
    folder = arguments.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    commits = [shell(ROOT, "git", "rev-parse", "--short=7", commit).strip() for commit in arguments.commits]
    demo = demo_of(folder)
    products = products_of(arguments.root, demo)
    seeds = {
        commit: [
            metrics_of(folder, commit, f"seed {seed}", {"seed": seed}, products, run=run) for seed in arguments.seeds
        ]
        for commit in commits
    }
    last = commits[-1]
    original = metrics_of(folder, last, "original", PRESETS["original"], products, run=run)
    variants = {
        name: [
            metrics_of(folder, last, f"{name}, seed {seed}", {**changes, "seed": seed}, products, run=run)
            for seed in arguments.seeds
        ]
        for name, changes in VARIANTS.items()
    }
    orders = {
        f"seed {seed}, {order}": metrics_of(
            folder,
            last,
            f"seed {seed}" if order == "default" else f"seed {seed}, {order}",
            {"seed": seed},
            products_of(arguments.root, demo, order),
            run=run,
        )
        for order in arguments.orders
        for seed in arguments.seeds
    }

    def by_commit(metric: str, title: str) -> dict[str, Callable[[str], list[float | None]]]:
        return {
            f"{title}, {commit}": lambda name, commit=commit: [found[name].get(metric) for found in seeds[commit]]
            for commit in commits
        }

    def of_variant(variant: str, metric: str) -> Callable[[str], list[float | None]]:
        return lambda name: [found.get(name, {}).get(metric) for found in variants[variant]]

    def counted(variant: str) -> str:
        """The variant's name, and of how many seeds there are runs, if not of all."""
        runs = sum(any(found.values()) for found in variants[variant])
        return variant if runs == len(arguments.seeds) else f"{variant} ({runs} of {len(arguments.seeds)} seeds)"

    names = list(products)
    print(f"Seeds {', '.join(map(str, arguments.seeds))}.\n\n### Router\n")
    print(table({**by_commit("routing_accuracy", "right"), **by_commit("open_set_auroc", "open set AUROC")}, names))
    print("\n### Unknown products\n")
    shares = ("rejected_normal", "rejected_defective", "unknown_rejected")
    print(table({key: column for share in shares for key, column in by_commit(share, share).items()}, names))
    print(f"\n### Alarms, product given; `alarm_for: shifted` at {last}\n")
    false, recall = "false_alarm_rate_own_expert", "recall_own_expert"
    print(
        table(
            {
                **by_commit(false, "false alarms"),
                counted("shifted"): of_variant("shifted", false),
                "its 95 % interval from": of_variant("shifted", "false_alarm_low_own_expert"),
                **by_commit(recall, "recall"),
                "recall, shifted": of_variant("shifted", recall),
                "recall at that rate on the test": of_variant("shifted", "recall_at_alarm_rate_on_test_own_expert"),
                "normal images with a marked pixel, shifted": of_variant("shifted", "marked_normal_own_expert"),
            },
            names,
        )
    )
    files = [folder / "metrics" / last / f"seed {seed}.probe.json" for seed in arguments.seeds]
    probes = [json.loads(file.read_text()) for file in files if file.is_file()]
    for metric in ("image_auroc", "pixel_ap", "aupro"):
        print(f"\n### Detection: {metric}, product given, {last}; `original` has one seed\n")
        print(detection(probes, original, metric) if probes else "not run yet")
    print(f"\n### Seeds and orders: means without {' and '.join(APART)}, product given, {last}\n")
    print(means_by_run(orders))
    for metric in ("image_auroc", "pixel_ap"):
        print(f"\n### Scores and baselines, leave-one-product-out: {metric}, product given, {last}\n")
        print(left_out_choices(probes, metric) if probes else "not run yet")
    for metric in ("image_auroc", "pixel_ap"):
        print(f"\n### Following the probe: {metric}, product given, {last}\n")
        print(followed_probe(probes, metric) if probes else "not run yet")
    for metric in ("image_auroc_own_expert", "pixel_ap_own_expert", recall):
        title = metric.removesuffix("_own_expert")
        print(f"\n### Contaminated training images: {title}, product given, {last}\n")
        clean = {"clean": lambda name, metric=metric: [found[name].get(metric) for found in seeds[last]]}
        contaminated = {counted(name): of_variant(name, metric) for name in VARIANTS if "suspects" in name}
        print(table(clean | contaminated, names))


if __name__ == "__main__":
    main()
