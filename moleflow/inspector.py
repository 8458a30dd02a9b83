"""Judging images outside the pipeline, with the artifacts that it left and by the functions that its stages call."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor
from tqdm import tqdm

from moleflow.backbones.backbone import Backbone, BackboneError
from moleflow.backbones.extraction import extract
from moleflow.backbones.packaged_weights import PACKAGED
from moleflow.calibration.conformal import alarms
from moleflow.compute.device import find_device
from moleflow.compute.precision import PRECISIONS
from moleflow.config.errors import MoleflowError
from moleflow.features.prototype import Prototype, load_prototype
from moleflow.files.artifacts import ArtifactError, digest, made_by, require_made_by
from moleflow.files.feature_store import Origin
from moleflow.files.paths import Paths
from moleflow.images.decoding import MAX_MEGAPIXELS, ImageSource, decode
from moleflow.images.given import GivenImages, Whites
from moleflow.images.orienting import View, turned_back
from moleflow.images.reading import read_image
from moleflow.revisions import fetch
from moleflow.routing.rejection import UNKNOWN
from moleflow.routing.router import Router, margins
from moleflow.routing.router_file import RouterFile, read_router
from moleflow.routing.routers import candidates_by_task
from moleflow.scoring.candidates import least_surprised, surprises_by_product
from moleflow.scoring.maps import anomaly_maps
from moleflow.scoring.scorer import Predictions, Scorer, load_scorer
from moleflow.statistics.expert import Expert

MANY = 50  # so many images show progress


class InspectionError(MoleflowError):
    """Images cannot be judged as asked."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What is said of one image.

    Attributes:
        product: the product that the image shows; "unknown" if the router rejects it, which says nothing of defects.
        nearest: the product whose expert judged it; `product` itself unless that is "unknown". With the router
            two_stage the one of the nearest that their experts chose.
        routing_margin: 1 − distance to the nearest product/distance to the second nearest, from 0 (a tie) to 1; None if
            the product was given or only one is known.
        image_score: higher is more anomalous, on its expert's own scale.
        threshold: image scores above it raise an alarm; infinite if there are too few normal images. With several
            folds (`calibration: cross`) it is only close to where the p-value falls below the alarm rate.
        pixel_threshold: pixels of the anomaly map above it are marked: some of about alarm_rate of normal images.
        p_value: share of normal images that would look as anomalous, in (0, 1], conformal.
        alarm: whether the p-value is at most the product's alarm rate; never of an unknown product.
        artifacts: SHA-256 of the scorer that judged, which holds those of its expert, prototype and base.
        anomaly_map: higher is more anomalous, comparable between images and products, (S, S), float32; pixels of the
            backbone's view, turned back where `orient` turned it, with its smallest value where the turned view does
            not reach; S is params.yaml's eval_size.
    """

    product: str
    nearest: str
    routing_margin: float | None
    image_score: float
    threshold: float
    pixel_threshold: float
    p_value: float
    alarm: bool
    artifacts: str
    anomaly_map: Float[np.ndarray, "S S"]


@dataclass(frozen=True)
class _Route:
    """Where an image goes: fields as in `Inspection`."""

    product: str
    nearest: str
    routing_margin: float | None

    def judged_as(self, product: str) -> "_Route":
        """The route of an image whose candidates' experts chose a product."""
        return replace(self, product=self.product if self.product == UNKNOWN else product, nearest=product)


@dataclass(frozen=True)
class _Judge:
    """What judges the images of one product."""

    expert: Expert
    scorer: Scorer
    attributes: dict[str, Any]
    artifacts: str


class Inspector:
    """Judges images of known products; `Inspector.load` makes one.

    An image passes the backbone once; an expert is loaded when the first image is routed to it, and called once for all
    images that `inspect` is given.

    Attributes:
        router: how images are routed, and which products are known.
        backbone: the frozen backbone; its device is where all is computed.
        max_megapixels: larger images are refused.
    """

    def __init__(
        self, paths: Paths, content: RouterFile, router: Router, backbone: Backbone, max_megapixels: float
    ) -> None:
        """Puts the parts together; see `load`.

        Args:
            paths: where the artifacts lie.
            content: what data/router.json holds.
            router: of the prototypes that it names.
            backbone: the frozen backbone, that of the prototypes.
            max_megapixels: larger images are refused.
        """
        self.paths, self.content, self.router, self.backbone = paths, content, router, backbone
        self.max_megapixels = max_megapixels
        self._judges: dict[str, _Judge] = {}
        self._fetched: TemporaryDirectory[str] | None = None  # removed together with the inspector

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        rev: str | None = None,
        weights: str | None = None,
        device: str = "auto",
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> "Inspector":
        """Loads what the pipeline left in a repository.

        Of its folder data/ it needs router.json, tasks/, experts/, scorers/ and what recalibrations/ holds; no images,
        features or params.yaml.

        Args:
            source: the repository, or any folder with a copy of these artifacts in data/; with `rev` also the address
                of a Git repository.
            rev: a commit, branch or tag, whose artifacts DVC fetches from the repository's cache or remote into a
                temporary folder; None for what lies in the folder.
            weights: where the backbone's weights are, as `backbone_weights` in params.yaml: "package", "hub" or the
                path of a safetensors file. By default the package that carries them, or else the hub.
            device: where to compute: "auto" (the accelerator that torch sees, or else the processor) or torch's name of
                one.
            max_megapixels: larger images are refused before they are decoded.

        Returns:
            The inspector.

        Raises:
            ArtifactError: an artifact is missing, broken, or does not belong to the others.
            RevisionError: there is no such commit, or DVC has not all of its artifacts.
            BackboneError: the weights are not available, or are not those that the features were made with.
            DeviceError: the device is not available.
        """
        there = Paths(Path())
        needed = [there.router, there.tasks, there.experts, there.scorers.path]
        fetched = None if rev is None else fetch(source, rev, needed, [there.recalibrations])
        paths, place = Paths(Path(source if fetched is None else fetched.name)), find_device(device)
        content = read_router(paths.router)
        prototypes = {
            product: _prototype(paths.prototype_of(product, task), content.prototypes[product], place)
            for product, task in content.products.items()
        }
        router = Router(
            content.router,
            prototypes,
            content.own_images,
            candidates=content.candidates,
            regions=content.regions,
        )
        origin = next(iter(prototypes.values())).origin
        inspector = cls(paths, content, router, _backbone(origin, weights, place), max_megapixels)
        inspector._fetched = fetched
        return inspector

    @property
    def resize(self) -> str:
        """How images are brought to the backbone's view, as in params.yaml."""
        return self._first_prototype.origin.resize

    def read(self, image: str | Path, product: str | None) -> Image:
        """An image as it is judged, in its own size, upright.

        Args:
            image: its path.
            product: the product that it shows; None if that is not given.

        Returns:
            The image, RGB.

        Raises:
            ImageError: it cannot be read.
        """
        return read_image(decode(image, max_megapixels=self.max_megapixels), white=self._whites(product).first)

    @property
    def products(self) -> list[str]:
        """The known products, in order of arrival."""
        return list(self.content.products)

    def inspect(self, images: Iterable[ImageSource], *, product: str | None = None) -> list[Inspection]:
        """Judges images.

        Results and features of all images are held until the end, half a megabyte an image by default: give thousands
        of images in parts.

        Args:
            images: paths, Pillow's images, or arrays of pixels as `moleflow.images.decoding.decode` takes them. Values
                of more than 8 bits are read as those of the product were learned; say which product it is where
                products differ in that.
            product: the product that all of them show, which then is never "unknown"; None to route each of them.

        Returns:
            One inspection per image, in their order.

        Raises:
            InspectionError: the product is not known, the router is the oracle and no product is given, or a single
                image is given that is in no list.
            ImageError: an image cannot be read; names the file.
            ArtifactError: an expert is missing, broken, or does not belong to the other artifacts.
        """
        if isinstance(images, str | bytes | Path | Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
            raise InspectionError("inspect takes several images; put a single one into a list")
        if not isinstance(images, Iterable):
            raise InspectionError(f"inspect takes a list of images, not {type(images).__name__}")
        if product is None and self.content.router == "oracle":
            raise InspectionError("the router is the oracle, which must be told the product of every image")
        if product is not None and product not in self.content.products:
            raise InspectionError(f"product {product!r} is not known; known are {', '.join(self.products)}")
        images = list(images)
        origin = self._first_prototype.origin
        view = View(origin.resize, origin.orient, self.backbone.side)
        given = GivenImages(images, view, self._whites(product), max_megapixels=self.max_megapixels)
        features: dict[str, list[Tensor]] = {}  # standardized, by the product that the image is routed to
        rows: dict[str, list[int]] = {}
        routes: list[_Route] = []
        candidates: list[list[str]] = []  # products whose experts judge an image, the nearest first
        with tqdm(total=len(images), desc="inspect", unit="image", leave=False, disable=len(images) < MANY) as bar:
            for maps in extract(self.backbone, range(len(images)), given.pixels, bar=bar):
                found = self._first_prototype.patch_features([layer.half() for layer in maps])  # as the store rounds
                if product is None:
                    batch, asked = self._route(found)
                else:
                    batch, asked = [_Route(product, product, None)] * len(found), [[product]] * len(found)
                for name in dict.fromkeys(name for each in asked for name in each):
                    own = [number for number, each in enumerate(asked) if name in each]
                    standardized = self.router.prototypes[name].standardize(found[own])
                    features.setdefault(name, []).append(standardized)
                    rows.setdefault(name, []).extend(len(routes) + number for number in own)
                routes += batch
                candidates += asked
        predicted = {
            name: self._predict(name, torch.cat(features.pop(name)), [given.names[number] for number in numbers])
            for name, numbers in rows.items()
        }
        chosen = self._choose(candidates, rows, predicted)
        inspections: dict[int, Inspection] = {}
        for name, numbers in rows.items():
            settled = [routes[number].judged_as(name) for number in numbers]
            judged = self._inspections(name, predicted[name], settled, given.turns[numbers])
            inspections |= {
                number: each for number, each in zip(numbers, judged, strict=True) if chosen[number] == name
            }
        return [inspections[number] for number in range(len(images))]

    def _choose(
        self, candidates: list[list[str]], rows: dict[str, list[int]], predicted: dict[str, Predictions]
    ) -> list[str]:
        """The product that each image is judged as, by what the experts of its candidates say."""
        if max(map(len, candidates), default=1) == 1:
            return [name for (name,) in candidates]
        number_of = {name: number for number, name in enumerate(self.products)}
        judged = {number_of[name]: (np.array(rows[name]), found) for name, found in predicted.items()}
        surprises = surprises_by_product(judged, len(candidates), len(self.products))
        numbers = np.array([[number_of[name] for name in each] for each in candidates])
        return [self.products[number] for number in least_surprised(numbers[:, None], surprises)[:, 0]]

    def _whites(self, product: str | None) -> Whites:
        """What may be white in images of a product, or of any."""
        asked = [prototype for name, prototype in self.router.prototypes.items() if product in (None, name)]
        return Whites.of([prototype.origin.white for prototype in asked])

    @property
    def _first_prototype(self) -> Prototype:
        """Patch features and embeddings are the same for all products; the router refuses others."""
        return next(iter(self.router.prototypes.values()))

    def _route(self, features: Tensor) -> tuple[list[_Route], list[list[str]]]:
        """Where images go, by their patch features, (N, H, W, C), and the candidates, the nearest first."""
        embedded = self.router.embed(features)
        distances = self.router.distances(embedded)
        count = min(self.router.candidates, len(self.products))
        strange = self.router.rejected(self.router.strangeness(embedded), self.content.reject_rate)
        routes, asked = [], candidates_by_task(torch.from_numpy(distances), [len(self.products)], count)[:, 0].tolist()
        for (number, *_), margin, unknown in zip(asked, margins(distances), strange, strict=True):
            nearest = self.products[number]
            shown = UNKNOWN if unknown else nearest
            routes.append(_Route(shown, nearest, None if np.isnan(margin) else float(margin)))
        return routes, [[self.products[number] for number in each] for each in asked]

    def _predict(self, product: str, features: Tensor, images: list[str]) -> Predictions:
        judge = self._judge(product)
        return judge.scorer(judge.expert.statistics(features, images))

    def _inspections(
        self, product: str, predicted: Predictions, routes: list[_Route], turns: np.ndarray
    ) -> list[Inspection]:
        judge = self._judge(product)
        raised = alarms(predicted.p_value, judge.attributes["alarm_rate"])
        maps = anomaly_maps(
            predicted.patch_score, size=judge.scorer.settings["eval_size"], sigma=judge.scorer.settings["map_sigma"]
        )
        rate = judge.attributes["alarm_rate"]
        threshold, pixel_threshold = judge.scorer.threshold(rate), judge.scorer.pixel_threshold(rate)
        return [
            Inspection(
                **vars(route),
                image_score=float(predicted.image_score[row]),
                threshold=threshold,
                pixel_threshold=pixel_threshold + float(predicted.level[row]),
                p_value=float(predicted.p_value[row]),
                alarm=bool(raised[row]) and route.product != UNKNOWN,
                artifacts=judge.artifacts,
                anomaly_map=turned_back(maps[row], turns[row]),
            )
            for row, route in enumerate(routes)
        ]

    def _judge(self, product: str) -> _Judge:
        """A product's expert and scorer, loaded when they are first asked for; artifacts of another run are refused."""
        if product not in self._judges:
            task, path = self.content.products[product], self.paths.scorer_of(product)
            scorer, attributes = load_scorer(path)
            current = made_by(self.paths, product, task, prototype=self.content.prototypes[product])
            require_made_by(path, attributes, current)
            expert = Expert(
                self.paths,
                product,
                task,
                self.router.prototypes[product],
                dtype=PRECISIONS[attributes["precision"]],
                orientations=attributes.get("orientations", 1),  # an older commit's scorer does not say
            )
            self._judges[product] = _Judge(expert, scorer, attributes, digest(path))
        return self._judges[product]


def _prototype(path: Path, expected: str, device: torch.device) -> Prototype:
    """Loads a prototype; refuses another one than the router's."""
    if digest(path) != expected:
        raise ArtifactError(f"{path} is not the prototype that images were routed by; run `dvc repro`")
    return load_prototype(path, device)


def _backbone(origin: Origin, weights: str | None, device: torch.device) -> Backbone:
    """Loads the backbone that the features were made with."""
    source = weights or ("package" if origin.backbone in PACKAGED else "hub")
    backbone = Backbone(
        origin.backbone, origin.layers, source, img_size=origin.img_size, tiles=origin.tiles, device=device
    )
    if backbone.weights_digest != origin.weights_digest:
        raise BackboneError(
            f"the weights of {origin.backbone} from {source} are not those that the features were made with (digest "
            f"{backbone.weights_digest[:12]}… instead of {origin.weights_digest[:12]}…); say where those are: "
            "Inspector.load(folder, weights=...) takes package, hub or the path of a safetensors file"
        )
    return backbone
