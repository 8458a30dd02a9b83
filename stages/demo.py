"""demo: writes the default products, real images without a download."""

from pathlib import Path

from moleflow.artifacts import written_whole
from moleflow.costs import measured
from moleflow.demo import write_demo
from moleflow.errors import told_plainly

OUTPUT = Path("data/raw/demo")


@told_plainly
def main() -> None:
    """Writes data/raw/demo/<class>/."""
    with measured("demo", "all", [OUTPUT]), written_whole(OUTPUT) as partial:
        write_demo(partial)


if __name__ == "__main__":
    main()
