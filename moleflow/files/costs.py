"""Costs of the stages: one file that Git tracks and no stage owns, so that dvc.lock says only what was computed."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moleflow.files.artifacts import read_json, write_json
from moleflow.files.locks import locked
from moleflow.files.order import PER_PRODUCT

Cost = dict[str, float]


@contextmanager
def measured(path: Path, stage: str, item: str, outputs: list[Path]) -> Iterator[None]:
    """Measures the enclosed work and enters it in the file of costs if it succeeds.

    A stage that DVC restores from its cache does not run, and keeps the entry it has.

    Args:
        path: the file, `Paths.costs`.
        stage: name of the stage.
        item: its product, task or baseline; "all" for a stage without such parts.
        outputs: files or folders whose bytes count.

    Yields:
        Nothing; the work goes into the `with` block.

    Raises:
        ArtifactError: the file cannot be read, as after a merge that left conflict marks in it; before the work begins.
    """
    if path.is_file():
        read_json(path)
    start = time.perf_counter()
    yield
    cost = {
        "seconds": round(time.perf_counter() - start, 3),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bytes": sum(_size(output) for output in outputs),
    }
    with _opened(path) as costs:
        costs["stages"].setdefault(stage, {})[item] = cost


def summarize_costs(
    path: Path, products: dict[str, str], first_task: str, baselines: list[str], parameters: dict[str, int]
) -> None:
    """Brings the sums in the file of costs up to date, and drops what is no longer listed.

    Args:
        path: the file, `Paths.costs`.
        products: product to task.
        first_task: the task that the stage base learns.
        baselines: their names.
        parameters: number of parameters of each product's expert.
    """
    with _opened(path) as costs:
        listed = {*products, *products.values(), *baselines, "all"}
        kept = {stage: {item: cost for item, cost in runs.items() if item in listed} for stage, runs in _stages(costs)}
        costs["stages"] = {stage: runs for stage, runs in kept.items() if runs}
        costs["products"] = {
            product: _product_cost(costs["stages"], products, product, first_task) | {"parameters": parameters[product]}
            for product in products
        }
        costs["total"] = _total(costs["products"], costs["stages"].get("extract", {}))


@contextmanager
def _opened(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the file's content and writes it back in the end, under a lock: two runs of DVC may need it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(".costs.lock")):
        costs: dict[str, Any] = {"total": {}, "products": {}, "stages": {}}
        costs |= read_json(path) if path.is_file() else {}
        yield costs
        costs["stages"] = {stage: dict(sorted(runs.items())) for stage, runs in _stages(costs)}
        write_json(path, costs)


def _stages(costs: dict[str, Any]) -> list[tuple[str, dict[str, Cost]]]:
    return sorted(costs["stages"].items())


def _product_cost(
    stages: dict[str, dict[str, Cost]], products: dict[str, str], name: str, first_task: str
) -> dict[str, float | None]:
    """A product's own stages and its share of its task's; None where a stage's entry is missing."""
    task = products[name]
    share = 1 / list(products.values()).count(task)
    own = [stages.get(stage, {}).get(name) for stage in PER_PRODUCT]
    learning = stages.get("base" if task == first_task else "train", {}).get(task)
    if learning is None or None in own:
        return {"seconds": None, "bytes": None, "peak_memory_bytes": None}
    runs = [run for run in own if run is not None]
    return {
        "seconds": round(sum(run["seconds"] for run in runs) + share * learning["seconds"], 3),
        "bytes": round(sum(run["bytes"] for run in runs) + share * learning["bytes"]),
        "peak_memory_bytes": max(run["peak_memory_bytes"] for run in [*runs, learning]),
    }


def _total(products: dict[str, dict[str, float | None]], extract: dict[str, Cost]) -> dict[str, float | None]:
    """Cost of all products together, and of their extraction alone; None where a product's cost is None."""
    total: dict[str, float | None] = {}
    for key in ("seconds", "bytes", "parameters"):
        amounts = [cost[key] for cost in products.values()]
        total[key] = None if None in amounts else round(sum(amount for amount in amounts if amount is not None), 3)
    for key in ("seconds", "bytes"):
        known = products.keys() <= extract.keys()
        total[f"extract_{key}"] = round(sum(extract[product][key] for product in products), 3) if known else None
    return total


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
