"""What the stages recorded of all products, put together for evaluate and report."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from moleflow.artifacts import ArtifactError, digest
from moleflow.datasets.images import mask_pixels
from moleflow.datasets.index import read_index
from moleflow.evaluation import Judged, routed_verdicts
from moleflow.expert_file import expert_file
from moleflow.openset import Located
from moleflow.order import Order
from moleflow.paths import BASE, BASELINES, EXPERTS, INDEX, MISROUTED, PROBES, ROUTES, SCORERS, SCORES, STATISTICS
from moleflow.probing import probe_metrics, probe_of, true_metrics
from moleflow.router import rejected
from moleflow.scorer import Scorer, Verdicts, load_scorer
from moleflow.scores_file import Arrays, Record, read_record
from moleflow.scoring import SCORES as MEMBERS
from moleflow.scoring import Aggregation, statistics_of
from moleflow.store import open_split


class Records:
    """Test images, masks, routes and scores of all products.

    Attributes:
        names: products in order of arrival.
        tests: per product the index of its test images.
        labels: per product, 1 defective, (N,).
        masks: per product (N, S, S) bool; None if nobody marked the defects.
        alarm_rates: per product its tolerated share of false alarms.
        routes: per product the arrays that route wrote.
        training_images: per product how many images its prototype was made of.
    """

    def __init__(self, order: Order, *, size: int, reject_rate: float) -> None:
        """Reads the data folder.

        Args:
            order: products in order of arrival.
            size: side of masks and anomaly maps in pixels.
            reject_rate: see `router.rejected`.

        Raises:
            ArtifactError: a file is missing, or scores were made by another base or expert than today's.
        """
        self.names, self.size, self.reject_rate = list(order.products), size, reject_rate
        routes = read_record(ROUTES)
        self.routes = {name: routes.group(name) for name in self.names}
        self.training_images = dict(zip(self.names, routes.attributes["training_images"].tolist(), strict=True))
        self.scores = {name: _current_scores(name, task) for name, task in order.products.items()}
        self.alarm_rates = {name: float(record.attributes["alarm_rate"]) for name, record in self.scores.items()}
        tables = {name: read_index(INDEX / f"{name}.csv") for name in self.names}
        self.tests = {name: table[table.split == "test"] for name, table in tables.items()}
        self.labels = {name: table.label.to_numpy() for name, table in self.tests.items()}
        self.masks = {name: self._masks(name) for name in self.names}

    def resize(self, name: str) -> str:
        """How the backbone's view of a product was cut."""
        return str(self.scores[name].attributes["resize"])

    def _masks(self, name: str) -> np.ndarray | None:
        paths = self.tests[name]["mask"]
        if not (paths != "").any():
            return None
        normal = np.zeros((self.size, self.size), bool)
        return np.stack([mask_pixels(Path(mask), self.size, self.resize(name)) if mask else normal for mask in paths])

    def flow(self) -> dict[str, Judged]:
        """All products as their experts judged them."""
        misrouted = read_record(MISROUTED)
        scorers = {name: load_scorer(SCORERS / f"{name}.safetensors") for name in self.names}
        judged = {}
        for name, record in self.scores.items():
            test = record.group("test")
            own = Verdicts(**{field.name: test[field.name] for field in fields(Verdicts)})
            others = self._by_others(misrouted.group(name), scorers)
            judged[name] = self._judged(name, own, others, float(record.attributes["threshold"]))
        return judged

    def baseline(self, baseline: str, aggregation: Aggregation) -> dict[str, Judged]:
        """All products as a baseline judges them, by the scorers that its distances give."""
        record = read_record(BASELINES / f"{baseline}.h5")
        scorers = {name: _distance_scorer(record, name, aggregation) for name in self.names}
        judged = {}
        for name, scorer in scorers.items():
            found = Record(record.group(name), {})
            others = self._by_others(found.group("misrouted"), scorers)
            judged[name] = self._judged(
                name, scorer(found.group("test")), others, scorer.threshold(self.alarm_rates[name])
            )
        return judged

    def _by_others(self, misrouted: Arrays, scorers: dict[str, Scorer]) -> dict[str, tuple[np.ndarray, Verdicts]]:
        """Verdicts of the experts that a product's images were sent to, with the rows of these images."""
        groups = {name: Record(misrouted, {}).group(name) for name in self.names}
        return {name: (group["row"], scorers[name](group)) for name, group in groups.items() if group}

    def _judged(
        self, name: str, own: Verdicts, others: dict[str, tuple[np.ndarray, Verdicts]], threshold: float
    ) -> Judged:
        number, chosen = self.names.index(name), self.routes[name]["chosen"]
        return Judged(
            labels=self.labels[name],
            masks=self.masks[name],
            own=own,
            routed=routed_verdicts(own, others, chosen, number, self.names),
            chosen=chosen,
            rejected=rejected(self.routes[name]["known_p_value"], self.reject_rate),
            number=number,
            threshold=threshold,
            alarm_rate=self.alarm_rates[name],
        )

    def located(self) -> dict[str, Located]:
        """Where the test images of all products lie among the prototypes."""
        return {
            name: Located(self.labels[name], routes["known_p_value"], routes["surprise"])
            for name, routes in self.routes.items()
        }

    def weighed(
        self, name: str, baselines: list[str], aggregation: Aggregation, sigma: float
    ) -> dict[str, dict[str, Any]]:
        """Every score and baseline on the synthetic and on the true defects of a product."""
        stored = open_split(PROBES / f"{name}.zarr", "probe")
        probe = probe_of(stored.images, stored.masks(), self.size)
        statistics = read_record(STATISTICS / f"{name}.h5")
        found = statistics.group("calibration")
        candidates = {member: (statistics_of(member, found), statistics) for member in MEMBERS}
        candidates |= {each: (("distance",), read_record(BASELINES / f"{each}.h5", name)) for each in baselines}
        weighed = {}
        for candidate, (parts, record) in candidates.items():
            if not parts:  # there is no memory
                continue
            scorer = Scorer.of(parts, aggregation, record.group("calibration"), record.group("varied"))
            painted = record.group("probe")
            weighed[candidate] = {
                **probe_metrics(scorer, painted, painted["source"], probe, sigma),
                **true_metrics(scorer(record.group("test")), self.labels[name], self.masks[name], sigma),
            }
        return weighed


def _distance_scorer(record: Record, name: str, aggregation: Aggregation) -> Scorer:
    found = Record(record.group(name), {})
    return Scorer.of(("distance",), aggregation, found.group("calibration"), found.group("varied"))


def _current_scores(name: str, task: str) -> Record:
    """A product's scores, refused unless today's base and expert made them."""
    record = read_record(SCORES / f"{name}.h5")
    for part, path in {"base": BASE, "expert": expert_file(EXPERTS / task, name)}.items():
        if record.attributes[f"{part}_digest"] != digest(path):
            raise ArtifactError(f"{SCORES / name}.h5 was made by another {part} than {path}; run `dvc repro`")
    return record
