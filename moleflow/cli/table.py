"""`moleflow table`: mean ± std over the experiments of a commit that differ only in seed or task order."""

import argparse

METRICS = ("image_auroc", "pixel_ap", "aupro", "routing_accuracy", "continual.image_auroc.forgetting.total")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("metrics", nargs="*", default=METRICS, help=f"default: {' '.join(METRICS)}")
    parser.add_argument("--rev", default="HEAD", help="the commit that the experiments started from; default: HEAD")


def run(arguments: argparse.Namespace) -> None:
    """Prints the table.

    Args:
        arguments: metrics and rev.
    """
    from moleflow.report.experiments import read_experiments, repetition_table  # takes DVC a second to import

    rows, keys = read_experiments(arguments.rev)
    print(repetition_table(rows, keys, list(arguments.metrics)))
