"""`moleflow preset`: a named set of parameters, into params.yaml."""

import argparse
from pathlib import Path

from moleflow.cli.plan import print_plan
from moleflow.config.registry import choose
from moleflow.files.params_file import write_params
from moleflow.files.paths import Paths
from moleflow.protocols.presets import PRESETS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("preset", choices=PRESETS)


def run(arguments: argparse.Namespace) -> None:
    """Writes the parameters and prints what `dvc repro` will run.

    Args:
        arguments: preset.
    """
    paths = Paths(Path())
    changes = choose(PRESETS, arguments.preset, "preset")
    write_params(changes, paths.params)
    for key, value in changes.items():
        print(f"{key}: {value}")
    print_plan(paths)
