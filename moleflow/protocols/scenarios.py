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
        about: what it is.
        subsets: some of its products, in order, by a name that stands for them.
        folders: folders of products that are not named as these are, below the root that is given; those of others
            lie below the default folder, if there are any here.
    """

    layout: str
    scenarios: tuple[str, ...]
    orders: dict[str, str]
    root: str | None = None
    about: str = ""
    subsets: dict[str, str] = field(default_factory=dict)
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
        about="the default products, made without a download",
    ),
    "dev": Dataset(
        "mvtec",
        ("1-1",),
        {
            "default": "elpv_poly brick grass elpv_mono gravel narrow bottle screw hazelnut deeppcb",
            "reversed": "deeppcb hazelnut screw bottle narrow gravel elpv_mono grass brick elpv_poly",
        },
        root="data/raw/demo",
        about="what designs are compared on (docs/quality.md)",
        folders={
            "bottle": "mvtec_bottle_320",
            "screw": "mvtec_screw_320",
            "hazelnut": "hazelnut_toy",
            "deeppcb": "deeppcb_640",
        },
    ),
    "large": Dataset(
        "mvtec",
        ("1-1",),
        {"default": "retina hubble motorcycle deeppcb"},
        root="data/raw/demo",
        about="what resolutions are compared on (docs/quality.md)",
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
            "diary": "leather grid transistor carpet zipper hazelnut toothbrush metal_nut screw wood tile capsule pill "
            "cable bottle",
        },
        about="MVTec AD, 15 products",
        subsets={
            "pilot3": "leather grid transistor",
            "pilot4": "leather grid transistor screw",
            "five_a": "bottle cable capsule screw toothbrush",
            "five_b": "bottle cable capsule carpet grid",
        },
    ),
    "visa": Dataset(
        "visa",
        ("1-1", "11-1", "8-4", "8-1x4"),
        {"alphabetical": "candle capsules cashew chewinggum fryum macaroni1 macaroni2 pcb1 pcb2 pcb3 pcb4 pipe_fryum"},
        about="VisA, 12 products",
    ),
    "mpdd": Dataset(
        "mvtec",
        ("1-1",),
        {"alphabetical": "bracket_black bracket_brown bracket_white connector metal_plate tubes"},
        about="MPDD, 6 products",
    ),
}


def scenario(
    dataset: str, name: str, *, root: str | None, order: str | None, products: str | None = None
) -> dict[str, ProductClass]:
    """Makes the products of a protocol with their tasks.

    Args:
        dataset: name in `DATASETS`.
        name: "A-B" (A products first, then B at a time until all are learned) or "A-BxN" (N times B).
        root: folder that holds the products' folders; None for the data set's default.
        order: name of an order; None for the first.
        products: those that take part, in this order, separated by commas, or the name of a subset; None for all.

    Returns:
        Product to its line of params.yaml, in order of arrival; tasks are t00, t01, ...

    Raises:
        ChoiceError: the data set is unknown.
        ScenarioError: the order or a product is unknown, the numbers do not add up, or the root is not given.
    """
    data = choose(DATASETS, dataset, "data set")
    if root is None and data.root is None:
        raise ScenarioError(f"{dataset} can lie anywhere; say where with --root /path/of/{dataset}")
    names = asked_products(dataset, order=order, products=products)
    sizes = _sizes(name, len(names))
    if sizes is None:
        known = f"known are {', '.join(data.scenarios)}" if products is None else "1-1 always does"
        raise ScenarioError(
            f"{name} does not add up to the {len(names)} products of {dataset if products is None else '--products'}; "
            f"{known}: A-B or A-BxN"
        )
    tasks = [f"t{number:02d}" for number, size in enumerate(sizes) for _ in range(size)]
    paths = {product: _path(data, product, root) for product in names}
    return {
        product: ProductClass(task=task, layout=data.layout, path=path)
        for (product, path), task in zip(paths.items(), tasks, strict=True)
        if path is not None
    }


def asked_products(dataset: str, *, order: str | None, products: str | None) -> list[str]:
    """The products of a protocol, whether or not their images are there.

    Args:
        dataset: name in `DATASETS`.
        order: as for `scenario`.
        products: likewise.

    Returns:
        Their names, in order of arrival.

    Raises:
        ChoiceError: the data set is unknown.
        ScenarioError: the order or a product is unknown.
    """
    data = choose(DATASETS, dataset, "data set")
    chosen = order or next(iter(data.orders))
    if chosen not in data.orders:
        raise ScenarioError(f"{dataset} has no order {chosen!r}; choose one of {', '.join(data.orders)}")
    if products is None:
        return data.orders[chosen].split()
    if order is not None:
        raise ScenarioError("--products has an order of its own; leave --order out")
    return _some(dataset, data, products)


def _some(dataset: str, data: Dataset, products: str) -> list[str]:
    """The products that are named, or those of a subset."""
    names = data.subsets[products].split() if products in data.subsets else products.split(",")
    known = next(iter(data.orders.values())).split()
    wrong = [name for name in names if name not in known or names.count(name) > 1]
    if wrong:
        subsets = f", or one of {', '.join(data.subsets)}" if data.subsets else ""
        raise ScenarioError(
            f"--products {products}: {wrong[0]!r} is no product of {dataset}, or named twice; choose among "
            f"{', '.join(known)}{subsets}"
        )
    return names


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
    return [first] + [size] * times if times >= 0 and first + size * times == count else None
