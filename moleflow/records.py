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
from moleflow.judging import EXPERTS, SCORES, Judge, Verdicts
from moleflow.openset import Located
from moleflow.probing import probe_metrics, probe_of, true_metrics
from moleflow.router import rejected
from moleflow.scores_file import Arrays, Record, read_record
from moleflow.scoring import SCORES as MEMBERS
from moleflow.scoring import Aggregation, statistics_of
from moleflow.store import open_split

BASELINES, INDEX, PROBES, ROUTES, STOLEN = (
    Path("data/baselines"),
    Path("data/index"),
    Path("data/probes"),
    Path("data/routes.h5"),
    Path("data/stolen.h5"),
)


class Records:
    """Test images, masks, routes and scores of all products, of the flow and of its rivals.

    Attributes:
        names: products in order of arrival.
        tests: per product the index of its test images.
        labels: per product, 1 defective, (N,).
        masks: per product (N, S, S) bool; None if nobody marked the defects.
        routes: per product the arrays that route wrote.
        training_images: per product how many images its prototype was made of.
        stolen: what other experts say of the images that they were given.
    """

    def __init__(self, products: dict[str, str], rivals: list[str], *, size: int, reject_rate: float) -> None:
        """Reads the data folder.

        Args:
            products: product to task in order of arrival.
            rivals: names of the baselines.
            size: side of masks and anomaly maps in pixels.
            reject_rate: see `router.rejected`.

        Raises:
            ArtifactError: a file is missing, or scores were made by another base or expert than today's.
        """
        self.names, self.size, self.reject_rate = list(products), size, reject_rate
        routes, self.stolen = read_record(ROUTES), read_record(STOLEN)
        self.routes = {name: routes.group(name) for name in self.names}
        self.training_images = dict(zip(self.names, routes.attributes["training_images"].tolist(), strict=True))
        self.scores = {name: _current_scores(name, task) for name, task in products.items()}
        self.rivals = {name: read_record(BASELINES / f"{name}.h5") for name in rivals}
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
        """All products as the flow judged them."""
        return {
            name: self._judged(
                name,
                record.group("test"),
                self.stolen.group(name),
                float(record.attributes["threshold"]),
            )
            for name, record in self.scores.items()
        }

    def rival(self, rival: str) -> dict[str, Judged]:
        """All products as a rival judged them."""
        parts = {name: Record(self.rivals[rival].group(name), {}) for name in self.names}
        return {
            name: self._judged(name, part.group("test"), part.group("stolen"), float(part.arrays["threshold"]))
            for name, part in parts.items()
        }

    def _judged(self, name: str, test: Arrays, stolen: Arrays, threshold: float) -> Judged:
        number, chosen = self.names.index(name), self.routes[name]["chosen"]
        own = Verdicts(**{field.name: test[field.name] for field in fields(Verdicts)})
        return Judged(
            labels=self.labels[name],
            masks=self.masks[name],
            own=own,
            routed=routed_verdicts(own, stolen, chosen, number, self.names),
            chosen=chosen,
            rejected=rejected(self.routes[name]["known_p_value"], self.reject_rate),
            number=number,
            threshold=threshold,
        )

    def located(self) -> dict[str, Located]:
        """Where the test images of all products lie among the prototypes."""
        return {
            name: Located(self.labels[name], routes["known_p_value"], routes["surprise"])
            for name, routes in self.routes.items()
        }

    def weighed(self, name: str, aggregation: Aggregation, sigma: float) -> dict[str, dict[str, Any]]:
        """Every score member and rival on the synthetic and on the true defects of a product."""
        stored = open_split(PROBES / f"{name}.zarr", "probe")
        probe = probe_of(stored.images, stored.masks(), self.size)
        found = self.scores[name].group("calibration")
        candidates = {member: (statistics_of(member, found), self.scores[name]) for member in MEMBERS}
        candidates |= {rival: (("distance",), Record(record.group(name), {})) for rival, record in self.rivals.items()}
        weighed = {}
        for candidate, (parts, record) in candidates.items():
            if not parts:  # there is no memory
                continue
            judge = Judge.of(parts, aggregation, record.group("calibration"), record.group("varied"))
            painted = record.group("probe")
            verdicts = judge({part: record.arrays[f"test/{part}"] for part in parts})
            weighed[candidate] = {
                **probe_metrics(judge, painted, painted["source"], probe, sigma),
                **true_metrics(verdicts, self.labels[name], self.masks[name], sigma),
            }
        return weighed


def _current_scores(name: str, task: str) -> Record:
    """A product's scores, refused unless today's base and expert made them."""
    record = read_record(SCORES / f"{name}.h5")
    current = {"base": EXPERTS / "base.safetensors", "expert": expert_file(EXPERTS / task, name)}
    for part, path in current.items():
        if record.attributes[f"{part}_digest"] != digest(path):
            raise ArtifactError(f"{SCORES / name}.h5 was made by another {part} than {path}; run `dvc repro`")
    return record
