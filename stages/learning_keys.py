"""The keys of params.yaml that base and train share: which products share an expert, its size, its memory bank.

How to train is `moleflow.learning.training.Recipe`.
"""

from torch import Tensor

from moleflow.config.params import Config, Count, NonNegative
from moleflow.config.registry import choose
from moleflow.features.image_features import StandardizedFeatures
from moleflow.features.memory_bank import memorize
from moleflow.features.prototype import Prototype
from moleflow.learning.tasks import EXPERT_GROUPS


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

    lora_rank: Count
    lora_alpha: NonNegative
    dia_blocks: Count


class MemoryConfig(Config):
    """The memory banks of an expert."""

    memory_size: Count
    seed: Count

    def memorize(
        self, features: dict[str, StandardizedFeatures], prototypes: dict[str, Prototype]
    ) -> dict[str, list[Tensor]]:
        """Chooses the patches of the memory banks; see `moleflow.features.memory_bank.memorize`.

        Args:
            features: standardized patch features of the products that share the expert, (N, H, W, C).
            prototypes: their prototypes.

        Returns:
            By product the patches kept of each layer, (M, C_l), fp16.
        """
        return {
            product: memorize(product_features, prototypes[product].layers, size=self.memory_size, seed=self.seed)
            for product, product_features in features.items()
        }
