"""The keys of params.yaml that base and train share: who shares an expert, its size, how to train and to remember."""

from typing import Annotated

from pydantic import Field, model_validator
from torch import Tensor

from moleflow.choices import choose
from moleflow.features import StandardisedFeatures
from moleflow.memory import memorise
from moleflow.params import Above, Config, Count, Fraction, NonNegative, Positive
from moleflow.prototypes import Prototype
from moleflow.tasks import EXPERT_GROUPS
from moleflow.training import PRECISIONS, Recipe

Folds = Annotated[int, Field(ge=2)]


class GroupConfig(Config):
    """Who shares an expert."""

    expert_per: str

    def groups(self, task: str, products: list[str]) -> dict[str, list[str]]:
        """Products of a task by the name of their expert."""
        return choose(EXPERT_GROUPS, self.expert_per, "expert_per")(task, products)


class ExpertConfig(Config):
    """Size of a product's expert."""

    lora_rank: Count
    lora_alpha: NonNegative
    dia_blocks: Count


class MemoryConfig(Config):
    """What an expert remembers of its products."""

    memory_size: Count
    seed: Count

    def memorise(
        self, features: dict[str, StandardisedFeatures], prototypes: dict[str, Prototype]
    ) -> dict[str, list[Tensor]]:
        """Per product the patches kept of each layer; see `moleflow.memory.memorise`."""
        return {
            name: memorise(each, prototypes[name].layers, size=self.memory_size, seed=self.seed)
            for name, each in features.items()
        }


class RecipeConfig(Config):
    """How to train."""

    epochs: Positive
    warmup_epochs: NonNegative
    lr: Above
    batch_size: Positive
    feature_memory: Above
    precision: str
    tail_weight: Fraction
    tail_ratio: Annotated[float, Field(gt=0, le=1)]
    lambda_logdet: NonNegative
    weight_decay: NonNegative
    grad_clip: NonNegative
    seed: Count

    @model_validator(mode="after")
    def _warms_up_before_the_end(self) -> "RecipeConfig":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs: {self.warmup_epochs:g} must be below epochs: {self.epochs}")
        return self

    def recipe(self) -> Recipe:
        """The library's form of it."""
        dtype = choose(PRECISIONS, self.precision, "precision")
        return Recipe(dtype=dtype, **self.model_dump(exclude={"precision"}))
