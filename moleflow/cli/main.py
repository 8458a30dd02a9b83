"""The command line: `moleflow scenario`, `preset`, `results`, `table`, `compare`; `python -m moleflow` is the same."""

import argparse

from moleflow.cli import compare, preset, results, scenario, table
from moleflow.config.errors import told_plainly

COMMANDS = (scenario, preset, results, table, compare)


@told_plainly
def main() -> None:
    """Parses the command line and runs the command."""
    parser = argparse.ArgumentParser(prog="moleflow", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for command in COMMANDS:
        command.add(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)
