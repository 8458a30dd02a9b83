"""check: refuses a wrong params.yaml before anything is computed, and writes what it comes to."""

import json
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from moleflow.artifacts import written_whole
from moleflow.backbones.backbone import BackboneError, check_backbone
from moleflow.baselines import BASELINES
from moleflow.costs import PER_PRODUCT
from moleflow.datasets.images import RESIZES
from moleflow.datasets.index import LAYOUTS
from moleflow.defects import DEFECTS
from moleflow.errors import told_plainly
from moleflow.flow.adapters import ALIGNMENTS
from moleflow.flow.context import SPATIAL_MIXERS
from moleflow.flow.positions import POSITIONS
from moleflow.nuisances import NUISANCES
from moleflow.order import Order
from moleflow.params import PARAMS, Config, ParamsError, Products, mistakes, read_params, task_mistakes
from moleflow.patches import LAYER_MERGES, layer_channels
from moleflow.paths import CHECK, ORDER, product_params
from moleflow.prototypes import STANDARDIZATIONS
from moleflow.router import ROUTERS
from moleflow.scoring import AGGREGATIONS, SCORES
from moleflow.tasks import EXPERT_GROUPS
from moleflow.training import PRECISIONS
from stages.train import CALIBRATIONS

STAGES = ("base", "train", "route", "misrouted", "baseline", "evaluate", "report", *PER_PRODUCT)

# Keys whose values are names, and the names there are.
NAMES: dict[str, Collection[str]] = {
    "resize": RESIZES,
    "probe_defects": DEFECTS,
    "probe_nuisances": NUISANCES,
    "layer_merge": LAYER_MERGES,
    "standardize": STANDARDIZATIONS,
    "router": ROUTERS,
    "position": POSITIONS,
    "alignment": ALIGNMENTS,
    "spatial_mixer": SPATIAL_MIXERS,
    "expert_per": EXPERT_GROUPS,
    "calibration": CALIBRATIONS,
    "precision": PRECISIONS,
    "score": SCORES,
    "aggregation": AGGREGATIONS,
    "baselines": BASELINES,
}


@told_plainly
def main() -> None:
    """Writes data/check; see `write_check`."""
    write_check(PARAMS)


def write_check(params: Path) -> None:
    """Writes what params.yaml comes to: every stage depends on its part of it, and on nothing else of the file.

    data/check/ok says that all is well and never changes; order.json names tasks and products in order of arrival;
    tasks/<task> a task's products; products/<class>/<stage>.json the keys that a stage of one product reads, after
    what the product's own line overrides.

    Args:
        params: params.yaml.

    Raises:
        ParamsError: a key, a name or a combination is wrong; lists all mistakes.
    """
    content = read_params(params)
    wrong = all_mistakes(content)
    if len(wrong) == 1:
        raise ParamsError(f"{params}: {wrong[0]}")
    if wrong:
        raise ParamsError(f"{params} has {len(wrong)} mistakes:\n" + "\n".join(f"  {each}" for each in wrong))
    write_resolved(content)


def write_resolved(content: dict[str, Any]) -> None:
    """The second half of `write_check`, for content that is right."""
    products = Products(**{key: content[key] for key in Products.model_fields})
    order = Order.of(products.tasks, {name: line.task for name, line in products.classes.items()})
    texts = {CHECK / "ok": "ok\n", ORDER: order.text()}
    texts |= {CHECK / "tasks" / task: "".join(f"{name}\n" for name in order.of_task(task)) for task in order.tasks}
    for name in order.products:
        settled = content | products.classes[name].overrides
        for stage in PER_PRODUCT:
            keys = {key: settled[key] for key in sorted(keys_read(stage))}
            texts[product_params(name, stage)] = json.dumps(keys, indent=1, ensure_ascii=False) + "\n"
    with written_whole(CHECK) as partial:
        for path, text in texts.items():
            target = partial / path.relative_to(CHECK)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


def configs_of(stage: str) -> list[type[Config]]:
    """The Configs by which a stage reads params.yaml, its own and the shared ones."""
    found = vars(import_module(f"stages.{stage}")).values()
    configs = [each for each in found if isinstance(each, type) and issubclass(each, Config)]
    return [each for each in configs if each.__module__.startswith("stages.")]


def keys_read(stage: str) -> set[str]:
    """Keys of params.yaml that a stage reads."""
    return {key for config in configs_of(stage) for key in config.model_fields}


def all_mistakes(content: dict[str, Any]) -> list[str]:
    """Everything that is wrong with the content of params.yaml, in words."""
    configs: list[type[Config]] = [Products, *(config for stage in STAGES for config in configs_of(stage))]
    known = {key for config in configs for key in config.model_fields}
    wrong = [_unknown("key", key, known) for key in content if key not in known]
    wrong += [said for config in configs for said in mistakes(config, content)]
    wrong += _wrong_names(content)
    if not wrong:
        wrong += task_mistakes(Products(**{key: content[key] for key in Products.model_fields}))
        wrong += _wrong_combinations(content)
    return list(dict.fromkeys(wrong))


def _wrong_names(content: dict[str, Any]) -> list[str]:
    wrong = []
    for key, names in NAMES.items():
        values = content.get(key)
        given = [each for each in (values if isinstance(values, list) else [values]) if isinstance(each, str)]
        wrong += [_unknown(key, each, names) for each in given if each not in names]
        if len(set(given)) < len(given):
            wrong.append(f"{key}: {given} names one twice")
    classes = content.get("classes")
    lines = classes.items() if isinstance(classes, Mapping) else ()
    layouts = {name: line.get("layout") for name, line in lines if isinstance(line, Mapping)}
    wrong += [
        _unknown(f"classes.{name}.layout", layout, LAYOUTS)
        for name, layout in layouts.items()
        if isinstance(layout, str) and layout not in LAYOUTS
    ]
    return wrong


def _unknown(what: str, name: str, names: Collection[str]) -> str:
    if what == "key":
        close = get_close_matches(name, names, 1)
        return f"{name}: no stage reads this key" + (f"; did you mean {close[0]}?" if close else "; remove it")
    return f"{what}: {name!r} is unknown; choose one of {', '.join(names)}"


def _wrong_combinations(content: dict[str, Any]) -> list[str]:
    """What is right alone and wrong together; asked once every key is right by itself."""
    wrong = []
    if content["memory_size"] == 0 and "memory" in SCORES[content["score"]]:
        wrong.append(f"score: {content['score']} looks at a memory; set memory_size above 0")
    try:
        maps = check_backbone(
            content["backbone"], content["layers"], content["backbone_weights"], content["img_size"], content["device"]
        )
    except BackboneError as error:
        return [*wrong, str(error).removeprefix("params.yaml: ")]
    embed_dim, channels = content["embed_dim"], [each.shape[1] for each in maps]
    layers = layer_channels(maps, embed_dim=embed_dim, layer_merge=content["layer_merge"])
    if content["layer_merge"] == "concat" and embed_dim > sum(channels):
        wrong.append(f"embed_dim: {embed_dim} is more than the {sum(channels)} channels of layers {content['layers']}")
    if content["flow_layers"] > len(layers):
        wrong.append(
            f"flow_layers: {content['flow_layers']} of {len(layers)} layers; a patch feature keeps its layers apart "
            f"only with layer_merge: concat and all their channels as embed_dim, {sum(channels)}; 0 takes everything"
        )
    modelled = sum(layers[: content["flow_layers"]] or layers)
    try:
        POSITIONS[content["position"]](1, 1, modelled)
    except ParamsError as error:
        wrong.append(str(error).removeprefix("params.yaml: "))
    return wrong


if __name__ == "__main__":
    main()
