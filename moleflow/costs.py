"""What a stage cost: kept beside the artifacts, never inside them."""

import json
import resource
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moleflow.artifacts import write_json

COSTS = Path("data/costs")


@contextmanager
def measured(stage: str, item: str, outputs: list[Path]) -> Iterator[None]:
    """Measures the enclosed work and writes data/costs/<stage>/<item>.json if it succeeds.

    Args:
        stage: name of the stage.
        item: its product or task.
        outputs: files or folders whose bytes count.
    """
    start = time.perf_counter()
    yield
    write_json(COSTS / stage / f"{item}.json", cost_since(start, outputs))


def cost_since(start: float, outputs: list[Path]) -> dict[str, float]:
    """Seconds since `start` (of time.perf_counter), the process's peak memory and the outputs' bytes."""
    return {
        "seconds": round(time.perf_counter() - start, 3),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bytes": sum(_size(path) for path in outputs),
    }


def read_costs(
    products: dict[str, str], first_task: str, baselines: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What every product cost, and every stage.

    Args:
        products: product to task.
        first_task: the task that the stage base learns.
        baselines: names of the rivals.

    Returns:
        Per product its own stages and its share of its task's: seconds, bytes, peak_memory_bytes. Per
        stage and item the same.
    """
    current = {*products, *products.values(), *baselines, "all"}  # files of removed ones may lie beside
    stages: dict[str, dict[str, Any]] = defaultdict(dict)
    for path in sorted(COSTS.glob("*/*.json")):
        if path.stem in current:
            stages[path.parent.name][path.stem] = json.loads(path.read_text())
    costs = {}
    for name, task in products.items():
        share = 1 / list(products.values()).count(task)
        own = [stages[stage][name] for stage in ("index", "extract", "probe", "prototype", "score")]
        learning = stages["base" if task == first_task else "train"][task]
        costs[name] = {key: sum(cost[key] for cost in own) + share * learning[key] for key in ("seconds", "bytes")}
        costs[name]["peak_memory_bytes"] = max(cost["peak_memory_bytes"] for cost in [*own, learning])
    return costs, stages


def total_costs(products: dict[str, Any], stages: dict[str, Any]) -> dict[str, float]:
    """What all products cost together, and of that their extraction: extract_seconds and extract_bytes.

    Args:
        products: seconds, bytes and parameters of each.
        stages: per stage and item seconds and bytes; of extract those of `products`.
    """
    extract = [stages["extract"][name] for name in products]
    total = {key: sum(each[key] for each in products.values()) for key in ("seconds", "bytes", "parameters")}
    return total | {f"extract_{key}": sum(each[key] for each in extract) for key in ("seconds", "bytes")}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
