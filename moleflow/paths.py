"""Where the stages leave what they make, below the top of the repository."""

from pathlib import Path

CHECK = Path("data/check")  # what params.yaml comes to
ORDER = CHECK / "order.json"
INDEX = Path("data/index")
FEATURES = Path("data/features")
PROBES = Path("data/probes")
TASKS = Path("data/tasks")  # prototypes, by task
EXPERTS = Path("data/experts")  # base.safetensors, and experts by task
BASE = EXPERTS / "base.safetensors"
CURVES = Path("data/curves")
STATISTICS = Path("data/statistics")
ROUTES = Path("data/routes.h5")
MISROUTED = Path("data/misrouted.h5")
SCORES = Path("data/scores")
SCORERS = Path("data/scorers")
BASELINES = Path("data/baselines")
METRICS = Path("metrics")


def product_params(product: str, stage: str) -> Path:
    """What params.yaml comes to for one stage of one product, as the stage check wrote it."""
    return CHECK / "products" / product / f"{stage}.json"


def prototype_path(product: str, task: str) -> Path:
    """A product's prototype."""
    return TASKS / task / f"{product}.safetensors"
