"""`moleflow preset`: a named set of parameters, into params.yaml; without a name, what there is."""

import argparse
from pathlib import Path

from moleflow.cli.plan import planned
from moleflow.config.registry import choose
from moleflow.files.params_file import write_params
from moleflow.files.paths import Paths
from moleflow.protocols.presets import ABOUT, PRESETS
from moleflow.report.tables import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("preset", nargs="?", help="its name; without one, all are listed")


def run(arguments: argparse.Namespace) -> None:
    """Writes the parameters and prints what `dvc repro` will run, or lists the presets.

    Args:
        arguments: preset.

    Raises:
        ChoiceError: there is no such preset.
    """
    if arguments.preset is None:
        print(Table(["preset", "what", "recorded in", "needs"], [[name, *ABOUT[name]] for name in PRESETS]).markdown())
        print("\nThose with weights from the hub were checked here without their weights, and never run.")
        return
    paths = Paths(Path())
    changes = choose(PRESETS, arguments.preset, "preset")
    with planned(paths):
        write_params(changes, paths.params)
        for key, value in changes.items():
            print(f"{key}: {value}")
