"""What the stages wrote for all products, put together for evaluate and report."""

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from moleflow.config.registry import Settings
from moleflow.evaluation.open_set import Located
from moleflow.evaluation.outcomes import PROVED, SEPARATE, Outcome, routed_predictions
from moleflow.evaluation.probe_metrics import probe_metrics, probe_of, true_metrics
from moleflow.files.artifacts import ArtifactError, made_by, require_made_by
from moleflow.files.feature_store import open_split
from moleflow.files.order import Order
from moleflow.files.paths import Paths
from moleflow.files.record_file import Arrays, Record, read_attributes, read_record
from moleflow.images.index_table import read_index, white_of
from moleflow.images.orienting import View
from moleflow.images.reading import mask_pixels
from moleflow.routing.rejection import rejected
from moleflow.routing.router_file import read_router
from moleflow.scoring.candidates import least_surprised, surprises_by_product
from moleflow.scoring.maps import Smoothing
from moleflow.scoring.scorer import Predictions, Scorer, load_scorer
from moleflow.scoring.scores import SCORES, Score, ScoreError, judging, name_of


class Records:
    """Test images, masks, routes and scores, read one product at a time.

    Attributes:
        names: products in order of arrival.
        reject_rate: see `moleflow.routing.rejection.rejected`.
        training_images: per product how many images its prototype was made from.
    """

    def __init__(self, paths: Paths, order: Order, *, size: int) -> None:
        """Reads what is small: how images are routed, and which scores belong to which base and expert.

        Args:
            paths: the repository's paths.
            order: products in order of arrival.
            size: side of masks and anomaly maps in pixels.

        Raises:
            ArtifactError: a file is missing, or scores were made by another base or expert than the current one.
        """
        self.paths, self.names, self.size = paths, list(order.products), size
        self.tasks_since = {
            product: len(order.tasks) - order.tasks.index(task) for product, task in order.products.items()
        }
        router = read_router(paths.router)
        if router.products != order.products:
            raise ArtifactError(f"{paths.router} was made for other products than are listed now; run `dvc repro`")
        self.reject_rate = router.reject_rate
        trained = read_attributes(paths.routes)["training_images"].tolist()
        self.training_images = dict(zip(self.names, trained, strict=True))
        self.attributes = {
            product: _current_attributes(paths, product, task, prototype=router.prototypes[product])
            for product, task in order.products.items()
        }

    def view(self, name: str) -> View:
        """How a product's images came before the backbone.

        Args:
            name: the product.

        Returns:
            The view.
        """
        attributes = self.attributes[name]
        return View(str(attributes["resize"]), str(attributes.get("orient", "none")), int(attributes.get("side", 0)))

    def suspects(self, name: str) -> list[str]:
        """A product's training images that took no part.

        Args:
            name: the product.

        Returns:
            Their paths.
        """
        return [path for path in str(self.attributes[name]["suspects"]).split("\n") if path]

    def routes(self, name: str) -> Arrays:
        """What route found for a product's test images.

        Args:
            name: the product.

        Returns:
            distance, known_p_value and strangeness to every product, (N, K); chosen, (N, T); of the router two_stage
            candidates, (N, T, n).
        """
        return read_record(self.paths.routes, name).arrays

    def score(self, name: str) -> str:
        """The score that judges a product's images.

        Args:
            name: the product.

        Returns:
            Its name, see `moleflow.scoring.scores.name_of`.
        """
        return name_of(self._scorer(name).score)

    def judged_by(self, name: str) -> str:
        """What a product's images are judged by, which its own probe may have chosen.

        Args:
            name: the product.

        Returns:
            The name of a score, see `moleflow.scoring.scores.judging`.
        """
        return judging(self._scorer(name).score)

    def _region(self, name: str) -> np.ndarray | None:
        """The patches of a product that count for all methods."""
        return self._scorer(name).region

    def _scorer(self, name: str) -> Scorer:
        return load_scorer(self.paths.scorer_of(name))[0]

    def margins(self, name: str) -> dict[str, float]:
        """How far a product's normal test images are from being routed to each other product.

        Args:
            name: the product.

        Returns:
            By other product the median of 1 − distance to the own product/distance to the other one, the nearest
            first; below 0 most images would go there. Empty without normal test images or for the router oracle.
        """
        normal = self.test_images(name).label.to_numpy() == 0
        distances = self.routes(name)["distance"][normal]
        if not len(distances) or not np.isfinite(distances).all():
            return {}
        own = distances[:, self.names.index(name)]
        others = {other: distances[:, number] for number, other in enumerate(self.names) if other != name}
        found = {other: float(np.median(1 - own / np.maximum(each, 1e-12))) for other, each in others.items()}
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def test_images(self, name: str) -> pd.DataFrame:
        """A product's test images.

        Args:
            name: the product.

        Returns:
            Their rows of the index, N of them.
        """
        table = read_index(self.paths.index.of(name))
        return table[table.split == "test"]

    def flow(self, name: str) -> Outcome:
        """Outcome of a product by the experts.

        Args:
            name: the product.

        Returns:
            Its outcome.

        Raises:
            ArtifactError: a file is missing or broken.
        """
        test = read_record(self.paths.scores_of(name), "test").arrays
        own = Predictions(**{field.name: test[field.name] for field in fields(Predictions)})
        others = self._by_others(read_record(self.paths.misrouted, name), self._scorer)
        thresholds = float(self.attributes[name]["threshold"]), float(self.attributes[name]["pixel_threshold"])
        return self._outcome(name, own, others, thresholds, PROVED)

    def baseline(self, baseline: str, name: str, settings: Settings) -> Outcome:
        """Outcome of a product by a baseline, with scorers made from its distances.

        Args:
            baseline: its name.
            name: the product.
            settings: how patch scores become image scores, see `moleflow.scoring.aggregation.aggregate`.

        Returns:
            The product's outcome.

        Raises:
            ArtifactError: the baseline's file is missing or broken.
        """
        path = self.paths.baselines.of(baseline)
        record = read_record(path, name)
        scorer = _distance_scorer(record, settings, self._region(name))
        others = self._by_others(
            Record(record.group("misrouted"), {}),
            lambda other: _distance_scorer(read_record(path, other), settings, self._region(other)),
        )
        rate = float(self.attributes[name]["alarm_rate"])
        thresholds = scorer.threshold(rate), scorer.pixel_threshold(rate)
        return self._outcome(name, scorer(record.group("test")), others, thresholds, SEPARATE)

    def _by_others(
        self, misrouted: Record, scorer_of: Callable[[str], Scorer]
    ) -> dict[str, tuple[np.ndarray, Predictions]]:
        """Predictions of the experts that a product's images were misrouted to, with the rows of these images."""
        groups = {other: misrouted.group(other) for other in self.names}
        return {other: (group["row"], scorer_of(other)(group)) for other, group in groups.items() if group}

    def _outcome(
        self,
        name: str,
        own: Predictions,
        others: dict[str, tuple[np.ndarray, Predictions]],
        thresholds: tuple[float, float],
        unmoved: str,
    ) -> Outcome:
        """The outcome by experts that stay as they are: the same predictions after each task."""
        number, routes, tasks = self.names.index(name), self.routes(name), self.tasks_since[name]
        labels, masks = self._truth(name)
        chosen = routes["chosen"]
        if "candidates" in routes:
            judged = {self.names.index(other): found for other, found in others.items()}
            judged[number] = np.arange(len(labels)), own
            chosen = least_surprised(routes["candidates"], surprises_by_product(judged, len(labels), len(self.names)))
        rates = np.array([float(self.attributes[other]["alarm_rate"]) for other in self.names])
        steps = {other: (rows, [predictions] * tasks) for other, (rows, predictions) in others.items()}
        return Outcome(
            labels=labels,
            masks=masks,
            own=[own] * tasks,
            routed=routed_predictions([own] * tasks, steps, chosen, number, self.names),
            chosen=chosen,
            rejected=rejected(routes["known_p_value"], routes["strangeness"], self.reject_rate),
            number=number,
            threshold=thresholds[0],
            pixel_threshold=thresholds[1],
            alarm_rate=float(self.attributes[name]["alarm_rate"]),
            routed_rates=rates[chosen[:, -1]],
            unmoved=unmoved,
        )

    @lru_cache(maxsize=1)  # noqa: B019 - of one product, for the flow and all baselines; a stage makes one Records
    def _truth(self, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Labels of a product's test images, (N,), and their masks, (N, S, S), or None."""
        table, view = self.test_images(name), self.view(name)
        if not (table["mask"] != "").any():
            return table.label.to_numpy(), None
        masks = np.zeros((len(table), self.size, self.size), bool)
        white = white_of(table)
        for row, (image, file) in enumerate(zip(table["path"], table["mask"], strict=True)):
            if file:
                degrees = view.turn(self.paths.root / image, white=white)
                masks[row] = mask_pixels(self.paths.root / file, self.size, view.resize, degrees)
        return table.label.to_numpy(), masks

    def located(self, name: str) -> Located:
        """How strange a product's test images are to every prototype.

        Args:
            name: the product.

        Returns:
            Labels, p-values and distances.
        """
        routes = self.routes(name)
        return Located(self._truth(name)[0], routes["known_p_value"], routes["strangeness"])

    def candidate_metrics(
        self, name: str, score: str, baselines: list[str], settings: Settings, sigma: Smoothing
    ) -> dict[str, dict[str, Any]]:
        """Metrics of every score and baseline on the synthetic and on the true defects of a product.

        Args:
            name: the product.
            score: name of the one that judges; every product has it among its candidates, `probe` too.
            baselines: their names.
            settings: how patch scores become image scores, see `moleflow.scoring.aggregation.aggregate`.
            sigma: smoothing of the anomaly maps, see `Smoothing`.

        Returns:
            By candidate the metrics of `probe_metrics` and `true_metrics`.

        Raises:
            ArtifactError: statistics or a baseline's file are missing or broken.
            StoreError: the probe's store is missing or broken.
        """
        stored = open_split(self.paths.probes.of(name), "probe")
        probe = probe_of(stored.images, stored.masks(), self.size)
        statistics = read_record(self.paths.statistics.of(name))
        used = self._scorer(name)
        candidates = {each: (kinds, statistics) for each, kinds in (SCORES | {score: used.score}).items()}
        for baseline in baselines:
            candidates[baseline] = Score.of("distance"), read_record(self.paths.baselines.of(baseline), name)
        labels, masks = self._truth(name)
        held_out, metrics = len(statistics.group("calibration")["fold"]), {}
        for candidate, (kinds, record) in candidates.items():
            try:
                scorer = Scorer.of(kinds, settings, record, region=used.region, pixels=False)
            except ScoreError:  # there is no memory bank, or there are no Gaussians
                continue
            metrics[candidate] = {
                **probe_metrics(scorer, record.group("probe"), probe, sigma, held_out=held_out),
                **true_metrics(scorer(record.group("test")), labels, masks, sigma),
            }
        return metrics


def _distance_scorer(record: Record, settings: Settings, region: np.ndarray | None) -> Scorer:
    return Scorer.of(Score.of("distance"), settings, record, region=region)


def _current_attributes(paths: Paths, name: str, task: str, *, prototype: str) -> dict[str, Any]:
    """What is known of a product's scores; refuses those of another base, expert or prototype than the current one."""
    path = paths.scores_of(name)
    attributes = read_attributes(path)
    require_made_by(path, attributes, made_by(paths, name, task, prototype=prototype))
    return attributes
