"""The command line: `moleflow scenario`, `preset`, `results`, `table`, `compare`; `python -m moleflow` is the same."""

import argparse
import json
import sys
from pathlib import Path

from moleflow.artifacts import ArtifactError
from moleflow.choices import choose
from moleflow.comparison import comparison_table
from moleflow.errors import told_plainly
from moleflow.params import PARAMS
from moleflow.params_writer import write_params, write_products
from moleflow.paths import METRICS
from moleflow.presets import PRESETS
from moleflow.scenarios import DATASETS, scenario
from moleflow.tables import results

GRADED = ("image_auroc", "pixel_ap", "aupro")
COMPARED = ("image_auroc", "pixel_ap", "aupro", "routing_accuracy", "continual.image_auroc.forgetting.total")


@told_plainly
def main() -> None:
    """Parses the command line and runs the command."""
    parser = argparse.ArgumentParser(prog="moleflow", description=__doc__)
    commands = parser.add_subparsers(required=True)
    protocol = commands.add_parser("scenario", help="write the products and tasks of a protocol into params.yaml")
    protocol.add_argument("dataset", choices=DATASETS)
    protocol.add_argument("scenario", help="products per task: 1-1, 3-3, 14-1, 10-1x5, ...")
    protocol.add_argument("--root", help="folder that holds the products' folders")
    protocol.add_argument("--order", help="order of arrival, such as alphabetical or texture_first")
    protocol.set_defaults(command=_write_scenario)
    preset = commands.add_parser("preset", help="write a named set of parameters into params.yaml")
    preset.add_argument("preset", choices=PRESETS)
    preset.set_defaults(command=_write_preset)
    show = commands.add_parser("results", help="print the metrics of the checked-out commit as tables")
    show.set_defaults(command=lambda arguments: _print_results())
    repeat = commands.add_parser(
        "table", help="print mean ± std over the experiments of a commit that differ only in seed or task order"
    )
    repeat.add_argument("metrics", nargs="*", default=COMPARED, help=f"default: {' '.join(COMPARED)}")
    repeat.add_argument("--rev", default="HEAD", help="the commit that the experiments started from; default: HEAD")
    repeat.set_defaults(command=lambda arguments: _print_repetitions(arguments.metrics, arguments.rev))
    compare = commands.add_parser(
        "compare", help="print methods product by product over the experiments of one or several commits"
    )
    compare.add_argument("metrics", nargs="*", default=GRADED, help=f"default: {' '.join(GRADED)}")
    compare.add_argument("--rev", action="append", help="a commit that experiments started from; default: HEAD")
    compare.set_defaults(command=lambda arguments: _print_comparison(arguments.metrics, arguments.rev or ["HEAD"]))
    arguments = parser.parse_args()
    arguments.command(arguments)


def _write_scenario(arguments: argparse.Namespace) -> None:
    products = scenario(arguments.dataset, arguments.scenario, root=arguments.root, order=arguments.order)
    write_products(products)
    missing = [each.path for each in products.values() if not Path(each.path).is_dir()]
    if missing and arguments.root is not None:
        print(f"warning: {missing[0]} does not exist; --root is the folder that holds the products", file=sys.stderr)
    for task in dict.fromkeys(each.task for each in products.values()):
        print(f"{task}  {', '.join(name for name, each in products.items() if each.task == task)}")
    _print_plan()


def _write_preset(arguments: argparse.Namespace) -> None:
    changes = choose(PRESETS, arguments.preset, "preset")
    write_params(changes)
    for key, value in changes.items():
        print(f"{key}: {value}")
    _print_plan()


def _print_plan() -> None:
    from moleflow.plan import planned_stages  # takes DVC a second to import, and check the backbones another
    from stages.check import write_check

    write_check(PARAMS)
    planned = planned_stages()
    print("\n`dvc repro` will run" + (":" if planned else " nothing."))
    for kind, parts in planned.items():
        print(f"  {kind:<10} {', '.join(parts)}".rstrip())


def _print_results() -> None:
    metrics = {}
    for name in ("summary", "classes", "baselines", "probe", "costs"):
        path = METRICS / f"{name}.json"
        if not path.is_file():
            raise ArtifactError(f"{path} does not exist; run `dvc repro` at the top of the repository")
        metrics[name] = json.loads(path.read_text())
    print(results(metrics))


def _print_repetitions(metrics: list[str], rev: str) -> None:
    from moleflow.experiments import read_experiments, repetition_table  # takes DVC a second to import

    rows, keys = read_experiments(rev)
    print(repetition_table(rows, keys, list(metrics)))


def _print_comparison(metrics: list[str], revs: list[str]) -> None:
    from moleflow.experiments import read_comparable  # takes DVC a second to import

    experiments = read_comparable(revs)
    print("\n\n".join(comparison_table(experiments, metric) for metric in metrics))
