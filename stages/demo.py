"""demo: writes the default products, real images without a download."""

from pathlib import Path

from moleflow.config.errors import told_plainly
from moleflow.datasets.demo import write_demo
from moleflow.files.artifacts import written_whole
from moleflow.files.costs import measured
from moleflow.files.paths import Paths


@told_plainly
def main() -> None:
    """Writes data/raw/demo/<product>/."""
    paths = Paths(Path())
    with measured(paths.costs, "demo", "all", [paths.demo]), written_whole(paths.demo) as partial:
        write_demo(partial)


if __name__ == "__main__":
    main()
