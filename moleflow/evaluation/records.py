"""What the stages wrote for all products, put together for evaluate and report."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from moleflow.config.registry import Settings
from moleflow.evaluation.open_set import Located
from moleflow.evaluation.probe_metrics import probe_metrics, probe_of, true_metrics
from moleflow.evaluation.results import Outcome, routed_predictions
from moleflow.files.artifacts import ArtifactError, digest
from moleflow.files.feature_store import open_split
from moleflow.files.order import Order
from moleflow.files.paths import Paths
from moleflow.files.record_file import Arrays, Record, read_record
from moleflow.files.tensor_file import load_tensors
from moleflow.images.index_table import read_index
from moleflow.images.reading import mask_pixels
from moleflow.routing.rejection import rejected
from moleflow.scoring.scorer import Predictions, Scorer, load_scorer
from moleflow.scoring.scores import SCORES, statistics_of


class Records:
    """Test images, masks, routes and scores of all products.

    Attributes:
        names: products in order of arrival.
        tests: per product the index of its test images.
        labels: per product, 1 defective, (N,).
        masks: per product (N, S, S) bool; None if the defects are not marked.
        alarm_rates: per product its tolerated share of false alarms.
        routes: per product the arrays that route wrote.
        training_images: per product how many images its prototype was made from.
    """

    def __init__(self, paths: Paths, order: Order, *, size: int, reject_rate: float) -> None:
        """Reads the data folder.

        Args:
            paths: the repository's paths.
            order: products in order of arrival.
            size: side of masks and anomaly maps in pixels.
            reject_rate: see `moleflow.routing.rejection.rejected`.

        Raises:
            ArtifactError: a file is missing, or scores were made by another base or expert than the current one.
        """
        self.paths, self.names = paths, list(order.products)
        self.size, self.reject_rate = size, reject_rate
        routes = read_record(paths.routes)
        self.routes = {product: routes.group(product) for product in self.names}
        self.training_images = dict(zip(self.names, routes.attributes["training_images"].tolist(), strict=True))
        self.scores = {product: _current_scores(paths, product, task) for product, task in order.products.items()}
        self.alarm_rates = {product: float(record.attributes["alarm_rate"]) for product, record in self.scores.items()}
        tables = {product: read_index(paths.index.of(product)) for product in self.names}
        self.tests = {product: table[table.split == "test"] for product, table in tables.items()}
        self.labels = {product: table.label.to_numpy() for product, table in self.tests.items()}
        self.masks = {product: self._masks(product) for product in self.names}

    def resize(self, name: str) -> str:
        """How a product's images were brought to the backbone's view.

        Args:
            name: the product.

        Returns:
            Name in `moleflow.images.reading.RESIZES`.
        """
        return str(self.scores[name].attributes["resize"])

    def _masks(self, name: str) -> np.ndarray | None:
        files = self.tests[name]["mask"]
        if not (files != "").any():
            return None
        normal, resize = np.zeros((self.size, self.size), bool), self.resize(name)
        root = self.paths.root
        return np.stack([mask_pixels(root / file, self.size, resize) if file else normal for file in files])

    def flow(self) -> dict[str, Outcome]:
        """Outcomes of all products by their experts."""
        misrouted = read_record(self.paths.misrouted)
        scorers = {product: load_scorer(self.paths.scorers.of(product)) for product in self.names}
        outcomes = {}
        for product, record in self.scores.items():
            test = record.group("test")
            own = Predictions(**{field.name: test[field.name] for field in fields(Predictions)})
            others = self._by_others(misrouted.group(product), scorers)
            outcomes[product] = self._outcome(product, own, others, float(record.attributes["threshold"]))
        return outcomes

    def baseline(self, baseline: str, settings: Settings) -> dict[str, Outcome]:
        """Outcomes of all products by a baseline, with scorers made from its distances.

        Args:
            baseline: its name.
            settings: how patch scores become image scores, see `moleflow.scoring.aggregation.aggregate`.

        Returns:
            Outcomes by product.

        Raises:
            ArtifactError: its file is missing or broken.
        """
        record = read_record(self.paths.baselines.of(baseline))
        scorers = {product: _distance_scorer(record, product, settings) for product in self.names}
        outcomes = {}
        for product, scorer in scorers.items():
            product_record = Record(record.group(product), {})
            others = self._by_others(product_record.group("misrouted"), scorers)
            outcomes[product] = self._outcome(
                product, scorer(product_record.group("test")), others, scorer.threshold(self.alarm_rates[product])
            )
        return outcomes

    def _by_others(self, misrouted: Arrays, scorers: dict[str, Scorer]) -> dict[str, tuple[np.ndarray, Predictions]]:
        """Predictions of the experts that a product's images were misrouted to, with the rows of these images."""
        groups = {product: Record(misrouted, {}).group(product) for product in self.names}
        return {product: (group["row"], scorers[product](group)) for product, group in groups.items() if group}

    def _outcome(
        self, name: str, own: Predictions, others: dict[str, tuple[np.ndarray, Predictions]], threshold: float
    ) -> Outcome:
        number, chosen = self.names.index(name), self.routes[name]["chosen"]
        return Outcome(
            labels=self.labels[name],
            masks=self.masks[name],
            own=own,
            routed=routed_predictions(own, others, chosen, number, self.names),
            chosen=chosen,
            rejected=rejected(self.routes[name]["known_p_value"], self.reject_rate),
            number=number,
            threshold=threshold,
            alarm_rate=self.alarm_rates[name],
        )

    def located(self) -> dict[str, Located]:
        """How strange the test images of all products are to every prototype."""
        return {
            product: Located(self.labels[product], routes["known_p_value"], routes["surprise"])
            for product, routes in self.routes.items()
        }

    def candidate_metrics(
        self, name: str, baselines: list[str], settings: Settings, sigma: float
    ) -> dict[str, dict[str, Any]]:
        """Metrics of every score and baseline on the synthetic and on the true defects of a product.

        Args:
            name: the product.
            baselines: their names.
            settings: how patch scores become image scores, see `moleflow.scoring.aggregation.aggregate`.
            sigma: smoothing of the anomaly maps in pixels.

        Returns:
            By candidate the metrics of `probe_metrics` and `true_metrics`.

        Raises:
            ArtifactError: statistics or a baseline's file are missing or broken.
            StoreError: the probe's store is missing or broken.
        """
        stored = open_split(self.paths.probes.of(name), "probe")
        probe = probe_of(stored.images, stored.masks(), self.size)
        statistics = read_record(self.paths.statistics.of(name))
        calibration = statistics.group("calibration")
        candidates = {score: (statistics_of(score, calibration), statistics) for score in SCORES}
        for baseline in baselines:
            candidates[baseline] = ("distance",), read_record(self.paths.baselines.of(baseline), name)
        metrics = {}
        for candidate, (parts, record) in candidates.items():
            if not parts:  # there is no memory bank
                continue
            scorer = Scorer.of(parts, settings, record.group("calibration"), record.group("perturbed"))
            painted = record.group("probe")
            metrics[candidate] = {
                **probe_metrics(scorer, painted, painted["source"], probe, sigma),
                **true_metrics(scorer(record.group("test")), self.labels[name], self.masks[name], sigma),
            }
        return metrics


def _distance_scorer(record: Record, name: str, settings: Settings) -> Scorer:
    product_record = Record(record.group(name), {})
    return Scorer.of(("distance",), settings, product_record.group("calibration"), product_record.group("perturbed"))


def _current_scores(paths: Paths, name: str, task: str) -> Record:
    """Reads a product's scores; refuses those of another base or expert than the current one."""
    record = read_record(paths.scores.of(name))
    for part, path in {"base": paths.base, "expert": paths.expert_of(name, task)}.items():
        if record.attributes[f"{part}_digest"] != digest(path):
            raise ArtifactError(f"{paths.scores.of(name)} was made by another {part} than {path}; run `dvc repro`")
    return record


def expert_parameters(expert: Path) -> int:
    """Number of parameters that an expert file holds per product that it serves.

    Args:
        expert: what `moleflow.flow.expert_files.save_expert` wrote.

    Returns:
        The number, rounded, patches of memory banks included.

    Raises:
        ArtifactError: the file is missing or broken.
    """
    tensors, metadata = load_tensors(expert)
    return round(sum(tensor.numel() for tensor in tensors.values()) / len(metadata["features"]))
