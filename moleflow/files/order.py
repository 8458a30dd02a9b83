"""The products and tasks in their order of arrival, as the stage check read them from params.yaml."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from moleflow.files.artifacts import read_json

PER_PRODUCT = ("index", "extract", "probe", "prototype", "statistics", "score")  # stages that run once for each product


@dataclass(frozen=True)
class Order:
    """Which products there are.

    Attributes:
        tasks: in order of arrival.
        products: product to its task, in order of arrival.
    """

    tasks: list[str]
    products: dict[str, str]

    @classmethod
    def of(cls, tasks: list[str], products: dict[str, str]) -> "Order":
        """Brings products into their order of arrival: by task, then as listed.

        Args:
            tasks: in order of arrival.
            products: product to its task, as listed.

        Returns:
            The order.
        """
        return cls(tasks, dict(sorted(products.items(), key=lambda item: tasks.index(item[1]))))

    def of_task(self, task: str) -> list[str]:
        """The products of a task.

        Args:
            task: the task.

        Returns:
            Their names, in order of arrival.
        """
        return [product for product, own_task in self.products.items() if own_task == task]

    def known_after(self) -> list[int]:
        """How many products are known after each task."""
        arrivals = [self.tasks.index(task) for task in self.products.values()]
        return [sum(arrival <= step for arrival in arrivals) for step in range(len(self.tasks))]

    def text(self) -> str:
        """What `read_order` reads."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def read_task(path: Path) -> list[str]:
    """A task's products in order of arrival.

    Args:
        path: `Paths.task_params`.

    Returns:
        The products.

    Raises:
        ArtifactError: it does not exist or is not JSON.
    """
    products: list[str] = read_json(path, "dvc repro check")["products"]
    return products


def read_order(path: Path) -> Order:
    """Reads all tasks and products.

    Args:
        path: `Paths.order`.

    Returns:
        The order of arrival.

    Raises:
        ArtifactError: it does not exist or is not JSON.
    """
    return Order(**read_json(path, "dvc repro check"))
