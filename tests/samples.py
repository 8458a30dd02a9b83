"""Small things that tests of several rooms are made of."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from moleflow.config.params import read_params
from moleflow.config.registry import Settings
from moleflow.evaluation.outcomes import PROVED, Outcome, routed_predictions
from moleflow.evaluation.results import Evaluation, evaluate_product, summarize
from moleflow.features.gaussian import fit_gaussian
from moleflow.features.memory_bank import memorize
from moleflow.features.neighbors import left_out_distances
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.position_gaussians import PositionGaussians, PositionMoments
from moleflow.features.prototype import Prototype, build_prototype
from moleflow.features.relative_likelihood import RelativeLikelihood
from moleflow.files.feature_store import Origin, Split
from moleflow.files.record_file import Record, Statistics
from moleflow.routing.rejection import OwnImages
from moleflow.scoring.scorer import Predictions, Scorer
from moleflow.scoring.scores import Score

# The beginning of a params.yaml.
TWO_PRODUCTS = """
classes:
  bolt: {task: t0, layout: mvtec, path: x}
  nut: {task: t1, layout: mvtec, path: y}
first_task: t0
later_tasks: [t1]
recalibrations: {}
"""

CPU = torch.device("cpu")

ORIGIN = Origin("some_backbone.tag", "0" * 64, [1, 2], 32, "stretch")

# params.yaml, with what makes a density small.
SETTINGS = read_params(Path(__file__).parents[1] / "params.yaml") | {
    "couplings": 3, "clamp": 1.9, "position": "sincos", "context": ["mixer"], "scale_context_kernel": 3,
    "alignment": "layer_norm", "lora_rank": 2, "lora_alpha": 2.0, "dia_blocks": 2,
}  # fmt: skip


def density_arguments(**changes) -> dict[str, Any]:
    """Arguments of a small `Density`; keywords replace arguments or settings."""
    own = {name: changes.pop(name, value) for name, value in {"channels": 8, "first": True, "seed": 0}.items()}
    return {**own, "settings": {**SETTINGS, **changes}}


def shaken(module: nn.Module) -> nn.Module:
    """Every parameter moved off its initial value, in float64."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.double()


PATCHING = {"neighborhood": 3, "embed_dim": 12, "grid": 4, "layer_merge": "concat"}
WHOLE = {**PATCHING, "embed_dim": 16}  # 6 + 10 channels, layers kept apart


def prototype_of(split: Split, **changes) -> Prototype:
    """A prototype of a split of `make_split`; keywords replace arguments."""
    arguments = {"patching": PATCHING, "standardize": "product", "router_rank": 8, "device": CPU}
    return build_prototype(split, split, **{**arguments, **changes})


def prototype_with(images: torch.Tensor, rank: int = 8) -> Prototype:
    """A prototype of which only the embeddings matter."""
    channels = images.shape[1]
    none = torch.zeros(channels)
    left_out = left_out_distances(images)
    gaussian = fit_gaussian(images, rank)
    return Prototype(gaussian, images, left_out, none, none.diag(), none, [channels], [], PATCHING, ORIGIN, "")


def normal_patches() -> list[NormalPatches]:
    """Of two folds: one with Gaussians and two layers, one of a single patch."""
    features = torch.randn(6, 2, 2, 8, generator=torch.Generator().manual_seed(0)).half()
    with_gaussians = NormalPatches(
        memorize(features, [5, 3], size=4),
        PositionGaussians.of(PositionMoments.of(features), 2),
        RelativeLikelihood(torch.arange(4.0), torch.ones(4)),
    )
    return [with_gaussians, NormalPatches(memorize(features, [8], size=1), None)]


def own_images_of(prototypes: dict[str, Prototype]) -> dict[str, OwnImages]:
    """Of the training images alone."""
    return {product: OwnImages.of([prototype.left_out.numpy()]) for product, prototype in prototypes.items()}


TOP3 = {
    "aggregation": "top_k", "top_k": 3, "image_level": 0.0, "alarm_for": "session", "eval_size": 16, "map_sigma": 1.0,
}  # fmt: skip
TOP = {**TOP3, "aggregation": "max"}
STATISTICS = (
    "nll", "latent", "neg_log_det", "memory0", "memory1", "gaussian", "relative_gaussian", "relative", "nll_free",
)  # fmt: skip


def random_statistics(count: int, seed: int, shift: dict[str, float] | None = None) -> Statistics:
    """Normally distributed patch statistics of some images, each moved by its shift."""
    rng = np.random.default_rng(seed)
    made = {name: rng.normal(size=(count, 4, 4)) for name in STATISTICS}
    return {name: values + (shift or {}).get(name, 0) for name, values in made.items()}


def scorer_of(
    score: Score, calibration: Statistics, *, settings: Settings = TOP3, left_out: Statistics | None = None,
    perturbed: Statistics | None = None, fold: Any = None, session: Any = None,
) -> Scorer:  # fmt: skip
    """A scorer of calibration images, of a single fold unless told otherwise."""
    count = len(next(iter(calibration.values())))
    groups = {"calibration": calibration | {"fold": np.zeros(count, int) if fold is None else fold}}
    groups["left_out"] = left_out or {}
    if perturbed:
        changed = len(next(iter(perturbed.values())))
        numbers = {"fold": np.zeros(changed, int), "session": np.ones(changed, int) if session is None else session}
        groups["perturbed"] = perturbed | numbers | {"source": np.arange(changed) % count}
    arrays = {f"{group}/{name}": array for group, held in groups.items() for name, array in held.items()}
    return Scorer.of(score, settings, Record(arrays, {}))


def image_scores(score: Score, calibration: Statistics, judged: Statistics) -> np.ndarray:
    """As a scorer of these calibration images gives them."""
    return scorer_of(score, calibration)({name: values[None] for name, values in judged.items()}).image_score


RATE = 0.2
Others = dict[str, tuple[np.ndarray, Predictions]]


def predictions(scores: Any) -> Predictions:
    """Predictions of images whose patches all have the image's score."""
    scores = np.asarray(scores, float)
    return Predictions(scores[:, None, None].repeat(2, 1).repeat(2, 2), 0 * scores, scores, 1 / (1 + scores), scores)


def outcome(number: int, chosen: Any, others: Others, masks: np.ndarray | None = None) -> Outcome:
    """A product of two: six images, the last three defective, ranked without a fault by the own expert."""
    own, chosen = predictions([1, 2, 3, 10, 11, 12]), np.array(chosen)
    tasks = chosen.shape[1]
    after_each = {name: (rows, [other] * tasks) for name, (rows, other) in others.items()}
    return Outcome(
        labels=np.array([0, 0, 0, 1, 1, 1]),
        masks=masks,
        own=[own] * tasks,
        routed=routed_predictions([own] * tasks, after_each, chosen, number, ["bolt", "nut"]),
        chosen=chosen,
        rejected=np.zeros(6, bool),
        number=number,
        threshold=4.0,
        pixel_threshold=4.0,
        alarm_rate=RATE,
        routed_rates=np.full(6, RATE),
        unmoved=PROVED,
    )


def evaluate(products: dict[str, Outcome], sigma: float = 1.0) -> Evaluation:
    """As the stage does it."""
    sizes = {name: 8 if each.masks is None else each.masks.shape[-1] for name, each in products.items()}
    found = {name: evaluate_product(each, sigma=sigma, size=sizes[name]) for name, each in products.items()}
    return summarize(found)


def misrouted(rows: list[int], scores: Any) -> Others:
    """What nut's expert predicts of another product's images."""
    return {"nut": (np.array(rows), predictions(scores))}


SIZE = (20, 16)  # of an image, in pixels


def save_image(path: Path, size: tuple[int, int] = SIZE, seed: int = 0) -> Path:
    """Writes a random gray picture; another seed is another picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, size[::-1], dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def save_mask(path: Path, value: int = 255, mode: str = "L") -> None:
    """A mask whose upper left quarter is defective."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(SIZE[::-1], np.uint8)
    pixels[:8, :10] = value
    Image.fromarray(pixels).convert(mode).save(path)


NORMAL = ("memory0", "gaussian", "relative_gaussian", "relative", "latent")


def normal_record(telling, statistics=NORMAL):
    """Statistics that are noise, but for those that tell painted defects."""
    rng = np.random.default_rng(0)
    arrays = {}
    for group, count in (("calibration", 30), ("perturbed", 10), ("left_out", 50), ("probe", 40)):
        for name in statistics:
            if group == "left_out" and name not in ("memory0", "gaussian"):
                continue
            shift = 3.0 * (group == "probe" and name in telling)
            # What tells nothing is loud where a defect is painted, and so drowns what does.
            loud = 20.0 if group == "probe" and name not in telling else 1.0
            arrays[f"{group}/{name}"] = shift + loud * rng.normal(size=(count, 4, 4))
    arrays["calibration/fold"] = np.zeros(30, int)
    arrays["perturbed/fold"] = np.zeros(10, int)
    arrays["perturbed/session"] = np.ones(10, int)
    arrays["perturbed/source"] = np.arange(10)
    return Record(arrays, {})
