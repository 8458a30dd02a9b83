"""The keys of params.yaml that evaluate and report share: how verdicts are graded."""

from typing import Annotated

from pydantic import Field

from moleflow.params import Config, Fraction, NonNegative


class GradingConfig(Config):
    """How verdicts are graded."""

    reject_rate: Fraction
    eval_size: Annotated[int, Field(ge=16)]
    map_sigma: NonNegative
