"""The keys of params.yaml that evaluate and report share: how predictions are compared with the truth."""

from typing import Annotated

from pydantic import Field

from moleflow.config.params import Config, Fraction, NonNegative


class EvaluationConfig(Config):
    """How predictions are compared with the truth."""

    reject_rate: Fraction
    eval_size: Annotated[int, Field(ge=16)]
    map_sigma: NonNegative
