"""The published protocols of continual anomaly detection: which products, in which order, how many at a time.

Source: Bergmann et al., "MVTec AD", CVPR 2019, and Zou et al., "VisA", ECCV 2022, for the products, in
alphabetical order; docs/method.md, What the lab diary found, for the orders texture, hard and easy first. Scenarios
are named as in class-incremental learning: "10-5" is ten products and then five at a time, "10-1x5" ten products and
then five times one.
"""

import re
from dataclasses import dataclass, field

from moleflow.config.errors import MoleflowError
from moleflow.config.products import ProductClass
from moleflow.config.registry import choose


class ScenarioError(MoleflowError):
    """A scenario that its data set cannot have."""


@dataclass(frozen=True)
class Dataset:
    """A data set with published protocols.

    Attributes:
        layout: name in `moleflow.datasets.layouts.LAYOUTS`.
        scenarios: published ones, or for the demo useful ones; others that add up are allowed.
        orders: products by the name of their order; the first is the default.
        root: its default folder; None if it has none.
        folders: folders of products that are not named as these are, below the root that is given; those of others
            lie below the default folder, if there are any here.
    """

    layout: str
    scenarios: tuple[str, ...]
    orders: dict[str, str]
    root: str | None = None
    folders: dict[str, str] = field(default_factory=dict)


DATASETS = {
    "demo": Dataset(
        "mvtec",
        ("1-1", "3-2"),
        {
            "default": "elpv_poly brick grass elpv_mono gravel",
            "texture_first": "brick grass gravel elpv_poly elpv_mono",
        },
        root="data/raw/demo",
    ),
    "dev": Dataset(  # what designs are compared on; docs/quality.md says where its images come from
        "mvtec",
        ("1-1",),
        {
            "default": "elpv_poly brick grass elpv_mono gravel narrow bottle screw hazelnut deeppcb",
            "reversed": "deeppcb hazelnut screw bottle narrow gravel elpv_mono grass brick elpv_poly",
        },
        root="data/raw/demo",
        folders={
            "bottle": "mvtec_bottle_320",
            "screw": "mvtec_screw_320",
            "hazelnut": "hazelnut_toy",
            "deeppcb": "deeppcb_640",
        },
    ),
    "large": Dataset(  # what resolutions are compared on
        "mvtec",
        ("1-1",),
        {"default": "retina hubble motorcycle deeppcb"},
        root="data/raw/demo",
        folders={"deeppcb": "deeppcb_640"},
    ),
    "mvtec": Dataset(
        "mvtec",
        ("1-1", "3-3", "5-5", "14-1", "10-5", "10-1x5"),
        {
            "alphabetical": "bottle cable capsule carpet grid hazelnut leather metal_nut pill screw tile toothbrush "
            "transistor wood zipper",
            "texture_first": "carpet grid leather tile wood bottle cable capsule hazelnut metal_nut pill screw "
            "toothbrush transistor zipper",
            "hard_first": "screw toothbrush capsule cable pill grid zipper transistor carpet wood hazelnut metal_nut "
            "leather tile bottle",
            "easy_first": "bottle leather metal_nut tile hazelnut carpet grid cable pill zipper transistor wood "
            "capsule toothbrush screw",
        },
    ),
    "visa": Dataset(
        "visa",
        ("1-1", "11-1", "8-4", "8-1x4"),
        {"alphabetical": "candle capsules cashew chewinggum fryum macaroni1 macaroni2 pcb1 pcb2 pcb3 pcb4 pipe_fryum"},
    ),
    "mpdd": Dataset(
        "mvtec",
        ("1-1",),
        {"alphabetical": "bracket_black bracket_brown bracket_white connector metal_plate tubes"},
    ),
}


def scenario(dataset: str, name: str, *, root: str | None, order: str | None) -> dict[str, ProductClass]:
    """Makes the products of a protocol with their tasks.

    Args:
        dataset: name in `DATASETS`.
        name: "A-B" (A products first, then B at a time until all are learned) or "A-BxN" (N times B).
        root: folder that holds the products' folders; None for the data set's default.
        order: name of an order; None for the first.

    Returns:
        Product to its line of params.yaml, in order of arrival; tasks are t00, t01, ...

    Raises:
        ChoiceError: the data set is unknown.
        ScenarioError: the order is unknown, the numbers do not add up, or the root is not given.
    """
    data = choose(DATASETS, dataset, "data set")
    if root is None and data.root is None:
        raise ScenarioError(f"{dataset} can lie anywhere; say where with --root /path/of/{dataset}")
    chosen = order or next(iter(data.orders))
    if chosen not in data.orders:
        raise ScenarioError(f"{dataset} has no order {chosen!r}; choose one of {', '.join(data.orders)}")
    products = data.orders[chosen].split()
    sizes = _sizes(name, len(products))
    if sizes is None:
        raise ScenarioError(
            f"{name} does not add up to the {len(products)} products of {dataset}; "
            f"known are {', '.join(data.scenarios)}: A-B or A-BxN"
        )
    tasks = [f"t{number:02d}" for number, size in enumerate(sizes) for _ in range(size)]
    paths = {product: _path(data, product, root) for product in products}
    return {
        product: ProductClass(task=task, layout=data.layout, path=path)
        for (product, path), task in zip(paths.items(), tasks, strict=True)
        if path is not None
    }


def _path(data: Dataset, product: str, root: str | None) -> str | None:
    """Where a product's images are; None if that is not known."""
    if not data.folders:
        return f"{(root or data.root or '').rstrip('/')}/{product}"
    if product not in data.folders:
        return f"{data.root}/{product}"
    return None if root is None else f"{root.rstrip('/')}/{data.folders[product]}"


def _sizes(name: str, count: int) -> list[int] | None:
    match = re.fullmatch(r"([1-9]\d*)-([1-9]\d*)(?:x([1-9]\d*))?", name)
    if match is None:
        return None
    first, size = int(match[1]), int(match[2])
    times = int(match[3]) if match[3] else (count - first) // size
    return [first] + [size] * times if first + size * times == count else None
