"""What is wrong with params.yaml: keys, names, and combinations of values that are valid by themselves."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import torch

from moleflow.backbones.backbone import BackboneError, check_backbone
from moleflow.baselines import BASELINES
from moleflow.calibration.promises import PROMISES
from moleflow.compute.device import DeviceError, find_device
from moleflow.compute.precision import PRECISIONS
from moleflow.config.errors import MoleflowError
from moleflow.config.params import Config, mistakes
from moleflow.config.products import Products, path_mistakes, task_mistakes
from moleflow.config.registry import call
from moleflow.datasets.layouts import LAYOUTS
from moleflow.datasets.sieves import DUPLICATES, UNREADABLE
from moleflow.features.centers import CENTERS
from moleflow.features.patches import LAYER_MERGES, layer_channels, modeled_channels
from moleflow.features.standardization import STANDARDIZATIONS
from moleflow.files.order import PER_PRODUCT
from moleflow.flow.alignments import ALIGNMENTS
from moleflow.flow.branches import BRANCHES
from moleflow.flow.contexts import CONTEXTS
from moleflow.flow.coupling_contexts import COUPLING_CONTEXTS
from moleflow.flow.positions import POSITIONS
from moleflow.flow.subnets import EXPERT_WEIGHTS
from moleflow.images.orienting import ORIENTERS
from moleflow.images.reading import RESIZES
from moleflow.learning.tasks import EXPERT_GROUPS
from moleflow.learning.training_images import CALIBRATIONS
from moleflow.probe.defects import DEFECTS
from moleflow.probe.perturbations import PERTURBATIONS
from moleflow.routing.routers import ROUTERS
from moleflow.scoring.aggregation import AGGREGATIONS
from moleflow.scoring.scores import BY_PROBE, SCORES, needed, way_out

STAGES = ("base", "train", "route", "misrouted", "baseline", "recalibrate", "evaluate", "report", *PER_PRODUCT)

# Keys whose values are names, with the known names.
NAMES: dict[str, Collection[str]] = {
    "duplicates": DUPLICATES,
    "unreadable": UNREADABLE,
    "resize": RESIZES,
    "orient": ORIENTERS,
    "probe_defects": DEFECTS,
    "probe_perturbations": PERTURBATIONS,
    "layer_merge": LAYER_MERGES,
    "standardize": STANDARDIZATIONS,
    "router": ROUTERS,
    "position": POSITIONS,
    "branches": BRANCHES,
    "alignment": ALIGNMENTS,
    "context": CONTEXTS,
    "coupling_context": COUPLING_CONTEXTS,
    "expert_weights": EXPERT_WEIGHTS,
    "expert_per": EXPERT_GROUPS,
    "memory_center": CENTERS,
    "calibration": CALIBRATIONS,
    "alarm_for": PROMISES,
    "precision": PRECISIONS,
    "score": (*SCORES, BY_PROBE),
    "aggregation": AGGREGATIONS,
    "baselines": BASELINES,
}

MAX_SIDE = 16384  # of a view and of a grid; an image of this side has 268 megapixels

# What keys and names were called in earlier versions.
RENAMED_KEYS = {
    "neighbourhood": "neighborhood",
    "probe_nuisances": "probe_perturbations",
    "spatial_mixer": "context",  # a list now
}
RENAMED_NAMES = {("alignment", "whitening"): "layer_norm"}


def all_mistakes(content: dict[str, Any]) -> list[str]:
    """Lists everything that is wrong with params.yaml.

    Args:
        content: value by key.

    Returns:
        One sentence each; none if all is well.
    """
    configs: list[type[Config]] = [Products, *(config for stage in STAGES for config in configs_of(stage))]
    known = {key for config in configs for key in config.model_fields}
    wrong = [_unknown_key(key, known) for key in content if key not in known]
    # A key under its old name is one mistake, not two.
    renamed = {new for old, new in RENAMED_KEYS.items() if old in content}
    found = [mistake for config in configs for mistake in mistakes(config, content)]
    wrong += [mistake for mistake in found if mistake.partition(":")[0] not in renamed]
    wrong += _wrong_names(content)
    if not wrong:
        products = Products(**{key: content[key] for key in Products.model_fields})
        for product, overrides in ((name, line.overrides) for name, line in products.classes.items() if line.overrides):
            own = content | overrides
            found = [mistake for config in configs for mistake in mistakes(config, own)] + _wrong_names(own)
            wrong += [f"classes.{product}.{mistake}" for mistake in found]
        wrong += task_mistakes(products) + path_mistakes(products)
        wrong += _wrong_combinations(content)
    return list(dict.fromkeys(wrong))


def configs_of(stage: str) -> list[type[Config]]:
    """The Configs that a stage reads params.yaml with, its own and the shared ones.

    Args:
        stage: name of its module in stages/.

    Returns:
        Every subclass of Config that the module defines or imports.
    """
    members = vars(import_module(f"stages.{stage}")).values()
    return [
        member for member in members if isinstance(member, type) and issubclass(member, Config) and member is not Config
    ]


def keys_read(stage: str) -> set[str]:
    """Keys of params.yaml that a stage reads.

    Args:
        stage: name of its module in stages/.

    Returns:
        The keys.
    """
    return {key for config in configs_of(stage) for key in config.model_fields}


def _wrong_names(content: dict[str, Any]) -> list[str]:
    wrong = []
    for key, names in NAMES.items():
        listed = content.get(key)
        given = [name for name in (listed if isinstance(listed, list) else [listed]) if isinstance(name, str)]
        wrong += [_unknown_name(key, name, names) for name in given if name not in names]
        if len(set(given)) < len(given):
            wrong.append(f"{key}: {given} lists a name twice")
    classes = content.get("classes")
    lines = classes.items() if isinstance(classes, Mapping) else ()
    layouts = {product: line.get("layout") for product, line in lines if isinstance(line, Mapping)}
    wrong += [
        _unknown_name(f"classes.{product}.layout", layout, LAYOUTS)
        for product, layout in layouts.items()
        if isinstance(layout, str) and layout not in LAYOUTS
    ]
    return wrong


def _unknown_key(key: str, known: Collection[str]) -> str:
    if key in RENAMED_KEYS:
        return f"{key}: this key is called {RENAMED_KEYS[key]} now; rename it"
    close = get_close_matches(key, known, 1)
    return f"{key}: no stage reads this key" + (f"; did you mean {close[0]}?" if close else "; remove it")


def _unknown_name(key: str, name: str, names: Collection[str]) -> str:
    if (key, name) in RENAMED_NAMES:
        return f"{key}: {name} is called {RENAMED_NAMES[key, name]} now; rename it"
    return f"{key}: {name!r} is unknown; choose one of {', '.join(names)}"


def _wrong_combinations(content: dict[str, Any]) -> list[str]:
    """What is valid alone and wrong together; checked once every key is valid by itself."""
    wrong = []
    wrong += [
        f"score: {content['score']} reads what {key}: {content[key]} leaves out; {way_out(key)}"
        for key in (needed(SCORES[content["score"]]) if content["score"] != BY_PROBE else ["memory_size"])
        if content[key] in (0, "none")
    ]
    if content["margin_weight"] and not content["painted_images"]:
        wrong.append("margin_weight: there are no painted images to keep apart; set painted_images above 0")
    if content["branches"] != "none" and BRANCHES[content["branches"]] == content["position"]:
        wrong.append(f"branches: with position: {content['position']} both would be the same; set branches to none")
    beyond = _beyond(content)
    if beyond:
        return wrong + beyond
    try:
        view = (content["img_size"], content["tiles"])
        maps = check_backbone(content["backbone"], content["layers"], content["backbone_weights"], *view)
        find_device(content["device"])
    except (BackboneError, DeviceError) as error:
        return [*wrong, str(error)]
    embed_dim, channels = content["embed_dim"], [layer.shape[1] for layer in maps]
    layers = layer_channels(maps, embed_dim=embed_dim, layer_merge=content["layer_merge"])
    if content["layer_merge"] == "concat" and embed_dim > sum(channels):
        wrong.append(f"embed_dim: {embed_dim} is more than the {sum(channels)} channels of layers {content['layers']}")
    if content["flow_layers"] > len(maps):
        return [*wrong, f"flow_layers: {content['flow_layers']}, but there are only {len(maps)} layers; 0 takes all"]
    try:
        modeled = modeled_channels(layers, content["flow_layers"])
    except MoleflowError as error:
        return [*wrong, str(error)]
    side = content["grid"] or max(layer.shape[-1] for layer in maps)
    return wrong + _too_large(content, side) + _misfits(content, modeled, side)


def _beyond(content: dict[str, Any]) -> list[str]:
    """Sides that no memory holds, and which the libraries below refuse in words of their own."""
    img_size, tiles = content["img_size"], content["tiles"]
    sides = {"img_size": img_size, "tiles": img_size * tiles if tiles > 1 else 0, "grid": content["grid"]}
    sentence = "{}: {} makes a side of {}, more than {}; choose a smaller one"
    return [sentence.format(key, content[key], side, MAX_SIDE) for key, side in sides.items() if side > MAX_SIDE]


def _too_large(content: dict[str, Any], side: int) -> list[str]:
    """What is given in patches or regions and does not fit a grid of so many patches per side."""
    wrong = []
    if content["router"] == "regional" and content["router_regions"] > side:
        wrong.append(f"router_regions: {content['router_regions']} is more than the grid's {side} patches per side")
    whole = [window for window in content["consistency"] if window >= 2 * side]
    if whole:
        wrong.append(
            f"consistency: windows of {whole} hold the whole grid of {side} patches per side wherever they lie"
        )
    return wrong


def _misfits(content: dict[str, Any], channels: int, side: int) -> list[str]:
    """What of the members before the flow does not suit the channels or the grid; nothing is computed."""
    wrong = []
    for member in (POSITIONS[content["position"]], *(CONTEXTS[name] for name in content["context"])):
        try:
            with torch.device("meta"):
                call(member, content, channels)(torch.empty(1, side, side, channels))
        except MoleflowError as error:
            wrong.append(str(error))
    return wrong
