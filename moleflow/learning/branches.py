"""Learning both branches of a density, each by itself."""

from collections.abc import Mapping

from torch import Tensor

from moleflow.features.image_features import ImageFeatures
from moleflow.flow.density import FREE, Density
from moleflow.learning.training import Recipe, train

Named = list[tuple[str, Tensor]]


def train_branches(
    density: Density,
    experts: dict[str, dict[str, Tensor]],
    features: Mapping[str, ImageFeatures],
    trained: Named,
    recipe: Recipe,
    *,
    label: str,
    painted: Mapping[str, ImageFeatures] | None = None,
) -> list[dict[str, int | float]]:
    """Trains a density, and after it the one without a position code if it has one; neither knows of the other.

    So the first is what it would be without the second, bit for bit.

    Args:
        density: see `train`; its `free` is trained too.
        experts: per product the expert's tensors of both by name.
        features: per product its standardized patch features, (N, H, W, C).
        trained: the tensors that learn, of both, each with its name in the density.
        recipe: how to train, both alike.
        label: shown beside the progress bar.
        painted: see `train`, for both.

    Returns:
        What `train` returns; columns of the second begin with "free_".

    Raises:
        TrainingError: as there.
    """
    coded = {product: dict(_with(False, list(expert.items()))) for product, expert in experts.items()}
    rows = train(density, coded, features, _with(False, trained), recipe, label=label, painted=painted)
    if density.free is None:
        return rows
    free = {product: dict(_with(True, list(expert.items()))) for product, expert in experts.items()}
    own, name = _with(True, trained), f"{label}, no position"
    others = train(density.free, free, features, own, recipe, label=name, painted=painted)
    return [
        row | {f"free_{name}": value for name, value in other.items() if name not in ("epoch", "lr")}
        for row, other in zip(rows, others, strict=True)
    ]


def _with(free: bool, named: Named) -> Named:
    """The tensors of one branch, by their names in it."""
    return [(name.removeprefix(FREE), tensor) for name, tensor in named if name.startswith(FREE) == free]
