"""report: one page to look at, metrics/report/index.html."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

from moleflow.artifacts import ArtifactError, write_text, written_whole
from moleflow.errors import told_plainly
from moleflow.order import read_order
from moleflow.params import PARAMS, load_params
from moleflow.paths import EXPERTS, INDEX, METRICS, SCORERS, SCORES
from moleflow.records import Records
from moleflow.report import page
from moleflow.report_cases import cases_html
from moleflow.tidying import tidy
from stages.grading import GradingConfig

SOURCES = ("moleflow", "stages", "dvc.yaml", "params.yaml")  # lock file and metrics change in every run


@told_plainly
def main() -> None:
    """Writes metrics/report/index.html."""
    config, order = load_params(GradingConfig), read_order()
    tidy(order, INDEX, EXPERTS, SCORES, SCORERS)
    records = Records(order, size=config.eval_size, reject_rate=config.reject_rate)
    cases = {
        name: cases_html(
            judged,
            records.tests[name],
            records.names,
            resize=records.resize(name),
            sigma=config.map_sigma,
            size=config.eval_size,
        )
        for name, judged in records.flow().items()
    }
    stems = ("summary", "classes", "baselines", "probe")
    plots = ("plots/histogram", "plots/matrix", "plots/confusion", "stolen")
    text = page(
        {stem: json.loads(_read(f"{stem}.json")) for stem in stems},
        {Path(plot).name: list(csv.DictReader(_read(f"{plot}.csv").splitlines())) for plot in plots},
        cases,
        params=PARAMS.read_text(encoding="utf-8"),
        commit=commit_line(),
    )
    with written_whole(METRICS / "report") as folder:
        write_text(folder / "index.html", text)
    print(f"{METRICS / 'report/index.html'} is ready for a browser; `python -m moleflow results` prints its tables")


def commit_line() -> str:
    """The commit of the working directory, shortened, and whether it is all that was run."""
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


def _read(name: str) -> str:
    path = METRICS / name
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist; `dvc repro evaluate` makes it")
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
