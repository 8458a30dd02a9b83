"""`moleflow compare`: methods product by product over the experiments of one or several commits."""

import argparse

from moleflow.report.comparison import comparison_table

METRICS = ("image_auroc", "pixel_ap", "aupro")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("metrics", nargs="*", default=METRICS, help=f"default: {' '.join(METRICS)}")
    parser.add_argument("--rev", action="append", help="a commit that experiments started from; default: HEAD")


def run(arguments: argparse.Namespace) -> None:
    """Prints a table per metric.

    Args:
        arguments: metrics and rev.
    """
    from moleflow.report.experiments import read_comparable  # takes DVC a second to import

    experiments = read_comparable(arguments.rev or ["HEAD"])
    print("\n\n".join(comparison_table(experiments, metric) for metric in arguments.metrics))
