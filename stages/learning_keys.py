"""The keys of params.yaml that base and train share: which products share an expert, its size, and
what it keeps of normal patches.

How to train is `moleflow.learning.training.Recipe`.
"""

from torch import Tensor

from moleflow.config.params import Above, Config, Count, NonNegative, Positive
from moleflow.config.registry import choose
from moleflow.features.image_features import StandardizedFeatures
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.position_gaussians import announce_covariances
from moleflow.features.prototype import Prototype
from moleflow.features.relative_likelihood import RelativeLikelihood
from moleflow.flow.density import Density
from moleflow.flow.relative import relative_likelihood
from moleflow.learning.tasks import EXPERT_GROUPS
from moleflow.learning.training import Recipe


class GroupConfig(Config):
    """Which products of a task share an expert."""

    expert_per: str

    def groups(self, task: str, products: list[str]) -> dict[str, list[str]]:
        """Groups the products of a task by their expert.

        Args:
            task: the task.
            products: its products.

        Returns:
            Products by the name of their expert.

        Raises:
            ChoiceError: `expert_per` is unknown.
        """
        return choose(EXPERT_GROUPS, self.expert_per, "expert_per")(task, products)


class ExpertConfig(Config):
    """Size of a product's expert."""

    expert_weights: str
    lora_rank: Count
    lora_alpha: NonNegative
    lora_grid: Positive
    task_bias: bool
    dia_blocks: Count
    dia_hidden: Above


class NormalConfig(Config):
    """What an expert keeps of its products' normal patches."""

    memory_size: Count
    memory_center: str
    gaussian_rank: Count
    feature_memory: Above

    def learn(
        self, features: dict[str, StandardizedFeatures], prototypes: dict[str, Prototype]
    ) -> dict[str, NormalPatches]:
        """Learns the normal patches; see `NormalPatches.of`.

        Args:
            features: standardized patch features of the products that share the expert, (N, H, W, C).
            prototypes: their prototypes.

        Returns:
            By product what is kept.
        """
        if self.gaussian_rank:
            shape = next(iter(features.values())).shape[1:]
            announce_covariances("gaussian_rank above 0", shape, self.feature_memory, tables=2)
        sizes = self.model_dump(exclude={"feature_memory"})
        return {
            product: NormalPatches.of(product_features, prototypes[product].layers, **sizes)
            for product, product_features in features.items()
        }


def relatives(
    density: Density,
    expert: dict[str, Tensor],
    features: dict[str, StandardizedFeatures],
    normal: dict[str, NormalPatches],
    recipe: Recipe,
) -> dict[str, RelativeLikelihood]:
    """How unlikely the normal patches of the products are that share an expert; see `relative_likelihood`.

    Args:
        density: base and expert, as training left it.
        expert: the expert's tensors by name.
        features: standardized patch features that it learned from, by product, (N, H, W, C).
        normal: what is kept of them, by product.
        recipe: how it was trained.

    Returns:
        References by product; none without a memory bank.
    """
    found = {
        product: relative_likelihood(density, expert, features[product], kept, recipe.dtype)
        for product, kept in normal.items()
    }
    return {product: relative for product, relative in found.items() if relative}
