"""Paths of all files and folders of a repository."""

from pathlib import Path


class Paths:
    """The folders and files of one repository; each belongs to the stage of the same name.

    Attributes:
        root: the top of the repository, which paths in params.yaml and in the index start from.
        params: params.yaml.
        check: what the stages read of params.yaml, one file per stage and product.
        order: tasks and products in their order of arrival.
        demo: the default products' images.
        index, features, probes, statistics, scores, scorers: a file or store per product.
        tasks: prototypes, by task.
        experts: base.safetensors, and experts by task.
        base: the shared flow.
        curves: learning curves, by task.
        routes, misrouted: one file for all products.
        baselines: a file per baseline.
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
        self.index = data / "index"
        self.features = data / "features"
        self.probes = data / "probes"
        self.tasks = data / "tasks"
        self.experts = data / "experts"
        self.base = self.experts / "base.safetensors"
        self.curves = data / "curves"
        self.statistics = data / "statistics"
        self.routes = data / "routes.h5"
        self.misrouted = data / "misrouted.h5"
        self.scores = data / "scores"
        self.scorers = data / "scorers"
        self.baselines = data / "baselines"
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

    def task_products(self, task: str) -> Path:
        """A task's products, as the stage check wrote them.

        Args:
            task: the task.

        Returns:
            data/check/tasks/<task>.
        """
        return self.check / "tasks" / task

    def index_of(self, product: str) -> Path:
        """A product's table of images.

        Args:
            product: the product.

        Returns:
            data/index/<product>.csv.
        """
        return self.index / f"{product}.csv"

    def features_of(self, product: str) -> Path:
        """A product's feature store.

        Args:
            product: the product.

        Returns:
            data/features/<product>.zarr.
        """
        return self.features / f"{product}.zarr"

    def probe_of(self, product: str) -> Path:
        """The feature store of a product's probe.

        Args:
            product: the product.

        Returns:
            data/probes/<product>.zarr.
        """
        return self.probes / f"{product}.zarr"

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

    def statistics_of(self, product: str) -> Path:
        """The statistics of a product's images by its own expert.

        Args:
            product: the product.

        Returns:
            data/statistics/<product>.h5.
        """
        return self.statistics / f"{product}.h5"

    def scores_of(self, product: str) -> Path:
        """A product's scores.

        Args:
            product: the product.

        Returns:
            data/scores/<product>.h5.
        """
        return self.scores / f"{product}.h5"

    def scorer_of(self, product: str) -> Path:
        """The scorer of a product's expert.

        Args:
            product: the product.

        Returns:
            data/scorers/<product>.safetensors.
        """
        return self.scorers / f"{product}.safetensors"

    def baseline_of(self, baseline: str) -> Path:
        """A baseline's distances of all products' images.

        Args:
            baseline: the baseline.

        Returns:
            data/baselines/<baseline>.h5.
        """
        return self.baselines / f"{baseline}.h5"
