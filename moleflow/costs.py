"""What a stage cost: kept beside the artifacts, never inside them."""

import json
import resource
import time
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


def read_costs(tasks: dict[str, str]) -> dict[str, Any]:
    """Costs of every stage, and of every product: its own stages and its share of its task's.

    Args:
        tasks: product to task, for all products.

    Returns:
        {"products": {product: cost}, "stages": {stage: {item: cost}}}.
    """
    stages: dict[str, dict[str, Any]] = {
        folder.name: {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
        for folder in sorted(COSTS.iterdir())
    }
    products = {}
    for name, task in tasks.items():
        share = 1 / list(tasks.values()).count(task)
        own = [stages[stage][name] for stage in ("index", "extract", "prototype", "score")]
        shared = [stages[stage][task] for stage in ("base", "train") if task in stages.get(stage, {})]
        products[name] = {
            key: sum(cost[key] for cost in own) + share * sum(cost[key] for cost in shared)
            for key in ("seconds", "bytes")
        }
        products[name]["peak_memory_bytes"] = max(cost["peak_memory_bytes"] for cost in own + shared)
    return {"products": products, "stages": stages}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
