"""demo: writes the default products, real images without a download."""

from pathlib import Path

from moleflow.artifacts import written_whole
from moleflow.costs import measured
from moleflow.datasets.demo import write_demo
from moleflow.errors import told_plainly
from moleflow.params import Config, Count, load_params

OUTPUT = Path("data/raw/demo")


class DemoConfig(Config):
    """What this stage reads of params.yaml."""

    seed: Count


@told_plainly
def main() -> None:
    """Writes data/raw/demo/<class>/."""
    config = load_params(DemoConfig)
    with measured("demo", "all", [OUTPUT]), written_whole(OUTPUT) as partial:
        write_demo(partial, config.seed)


if __name__ == "__main__":
    main()
