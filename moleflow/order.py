"""The products and tasks in their order of arrival, as the stage check read them from params.yaml."""

import json
from dataclasses import asdict, dataclass

from moleflow.artifacts import ArtifactError
from moleflow.paths import CHECK, ORDER


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
        """Brings products, each with its task, into their order of arrival: by task, then as listed."""
        return cls(tasks, dict(sorted(products.items(), key=lambda item: tasks.index(item[1]))))

    def of_task(self, task: str) -> list[str]:
        """The products of a task, in order of arrival."""
        return [name for name, its in self.products.items() if its == task]

    def known_after(self) -> list[int]:
        """How many products are known after each task."""
        return [sum(self.tasks.index(its) <= step for its in self.products.values()) for step in range(len(self.tasks))]

    def text(self) -> str:
        """What `read_order` reads."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def read_task(task: str) -> list[str]:
    """A task's products in order of arrival, from data/check/tasks/<task>: all that learning it depends on.

    Raises:
        ArtifactError: it does not exist.
    """
    path = CHECK / "tasks" / task
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; `dvc repro check` makes it")
    return path.read_text(encoding="utf-8").splitlines()


def read_order() -> Order:
    """Reads data/check/order.json.

    Raises:
        ArtifactError: it does not exist.
    """
    if not ORDER.is_file():
        raise ArtifactError(f"{ORDER} does not exist; `dvc repro check` makes it")
    return Order(**json.loads(ORDER.read_text(encoding="utf-8")))
