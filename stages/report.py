"""report: one page to look at, metrics/report/index.html."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

from tqdm import tqdm

from moleflow.config.errors import told_plainly
from moleflow.config.params import load_params
from moleflow.evaluation.records import Records
from moleflow.files.artifacts import read_json, require_file, write_text, written_whole
from moleflow.files.order import read_order
from moleflow.files.paths import Paths
from moleflow.files.tidying import tidy
from moleflow.report.card import card
from moleflow.report.cases import worst_cases
from moleflow.report.page import page
from stages.map_keys import MapConfig

SOURCES = ("moleflow", "stages", "dvc.yaml", "params.yaml")  # lock file and metrics change in every run


@told_plainly
def main() -> None:
    """Writes metrics/report/index.html."""
    paths = Paths(Path())
    config, order = load_params(MapConfig, paths.params), read_order(paths.order)
    tidy(paths, order, paths.index, paths.overviews, paths.experts, paths.scores, paths.scorers)
    records = Records(paths, order, size=config.eval_size)
    cases = {
        product: worst_cases(
            records.flow(product),
            records.test_images(product),
            records.names,
            root=paths.root,
            view=records.view(product),
            sigma=config.map_sigma,
            size=config.eval_size,
        )
        for product in tqdm(records.names, desc="report", unit="product")
    }
    stems = ("summary", "classes", "baselines", "probe")
    numbers = {stem: read_json(paths.metrics / f"{stem}.json", "dvc repro evaluate") for stem in stems}
    known = {stem: numbers[stem] for stem in ("classes", "probe")}
    cards = {
        product: card(paths, product, records, known, may_cross=task != order.tasks[0])
        for product, task in order.products.items()
    }
    plots = ("plots/histogram", "plots/matrix", "plots/confusion", "misrouted")
    text = page(
        numbers,
        {Path(plot).name: list(csv.DictReader(io.StringIO(_read(paths.metrics / f"{plot}.csv")))) for plot in plots},
        cases,
        cards,
        params=paths.params.read_text(encoding="utf-8"),
        commit=commit_line(),
    )
    with written_whole(paths.metrics / "report") as folder:
        write_text(folder / "index.html", text)
    print(
        f"{paths.metrics / 'report/index.html'} is ready for a browser; `python -m moleflow results` prints its tables"
    )


def commit_line() -> str:
    """The commit of the working directory, shortened, and whether there are uncommitted changes."""
    git = shutil.which("git")
    if git is None:
        return "no git commit"
    head, status = (
        subprocess.run([git, *arguments], capture_output=True, text=True, check=False)
        for arguments in (["rev-parse", "--verify", "HEAD"], ["status", "--porcelain", "--", *SOURCES])
    )
    if head.returncode or status.returncode:
        return "no git commit"
    return f"commit {head.stdout[:8]}" + (" with uncommitted changes" if status.stdout else "")


def _read(path: Path) -> str:
    require_file(path, "dvc repro evaluate")
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
