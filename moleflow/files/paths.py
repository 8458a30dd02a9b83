"""Paths of all files and folders of a repository."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folder:
    """A folder with one file or store per name.

    Attributes:
        path: the folder.
        suffix: what stands behind the names.
    """

    path: Path
    suffix: str

    def of(self, name: str) -> Path:
        """The file or store of one name.

        Args:
            name: a product, or where the folder holds baselines, a baseline.

        Returns:
            <folder>/<name><suffix>.
        """
        return self.path / f"{name}{self.suffix}"


class Paths:
    """The folders and files of one repository; docs/data.md says which stage writes each.

    Attributes:
        root: the top of the repository, which paths in params.yaml and in the index start from.
        params: params.yaml.
        check: what the stages read of params.yaml, one file per stage and product, and per task.
        order: tasks and products in their order of arrival.
        demo: the default products' images.
        recalibrations: scores and scorers of products that were calibrated anew.
        regions: masks of the part of a product's images that counts, drawn by hand; kept in Git.
        feedback: images that were labeled after their product was learned, in a folder per product; kept by users.
        index, overviews, features, probes, statistics, scores, scorers: folders with a file or store per product.
        tasks: prototypes, by task.
        experts: base.safetensors, and experts by task.
        base: the shared flow.
        curves: learning curves, by task.
        router: how images are routed.
        routes, misrouted: one file for all products.
        baselines: a folder with a file per baseline.
        metrics: numbers, plots and the report.
        costs: measured seconds and memory.
    """

    def __init__(self, root: Path) -> None:
        """Names the paths; nothing is read or made.

        Args:
            root: the top of the repository.
        """
        data = root / "data"
        self.root = root
        self.params = root / "params.yaml"
        self.check = data / "check"
        self.order = self.check / "order.json"
        self.demo = data / "raw/demo"
        self.index = Folder(data / "index", ".csv")
        self.regions = Folder(data / "regions", ".png")
        self.feedback = data / "feedback"
        self.recalibrations = data / "recalibrations"
        self.overviews = Folder(data / "overviews", ".json")
        self.features = Folder(data / "features", ".zarr")
        self.probes = Folder(data / "probes", ".zarr")
        self.tasks = data / "tasks"
        self.experts = data / "experts"
        self.base = self.experts / "base.safetensors"
        self.curves = data / "curves"
        self.statistics = Folder(data / "statistics", ".h5")
        self.router = data / "router.json"
        self.routes = data / "routes.h5"
        self.misrouted = data / "misrouted.h5"
        self.scores = Folder(data / "scores", ".h5")
        self.scorers = Folder(data / "scorers", ".safetensors")
        self.baselines = Folder(data / "baselines", ".h5")
        self.metrics = root / "metrics"
        self.costs = self.metrics / "costs.json"

    def product_params(self, product: str, stage: str) -> Path:
        """The keys of params.yaml that one stage reads for one product, as the stage check wrote them.

        Args:
            product: the product.
            stage: name of the stage.

        Returns:
            data/check/products/<product>/<stage>.json.
        """
        return self.check / "products" / product / f"{stage}.json"

    def task_params(self, task: str) -> Path:
        """A task's products and the keys of params.yaml that learning it reads, as the stage check wrote them.

        Args:
            task: the task.

        Returns:
            data/check/tasks/<task>.json.
        """
        return self.check / "tasks" / f"{task}.json"

    def scorer_of(self, product: str) -> Path:
        """What turns a product's statistics into scores, p-values and alarms: calibrated anew, or as it was.

        Args:
            product: the product.

        Returns:
            data/recalibrations/<product>.safetensors if there is one, or else data/scorers/<product>.safetensors.
        """
        return self._anew_or(self.scorers.of(product))

    def scores_of(self, product: str) -> Path:
        """A product's scores: by the thresholds of new images, or as they were.

        Args:
            product: the product.

        Returns:
            data/recalibrations/<product>.h5 if there is one, or else data/scores/<product>.h5.
        """
        return self._anew_or(self.scores.of(product))

    def _anew_or(self, first: Path) -> Path:
        anew = self.recalibrations / first.name
        return anew if anew.exists() else first

    def prototype_of(self, product: str, task: str) -> Path:
        """A product's prototype.

        Args:
            product: the product.
            task: its task.

        Returns:
            data/tasks/<task>/<product>.safetensors.
        """
        return self.tasks / task / f"{product}.safetensors"

    def expert_of(self, product: str, task: str) -> Path:
        """A product's expert: its own file or, where there is none, the one that the products of its task share.

        Args:
            product: the product.
            task: its task.

        Returns:
            data/experts/<task>/<product or task>.safetensors.
        """
        own = self.experts / task / f"{product}.safetensors"
        return own if own.is_file() else self.experts / task / f"{task}.safetensors"
