"""The command line: `moleflow check`, `scenario`, `preset`, `results`, `table`, `compare`; or `python -m moleflow`."""

import argparse

from moleflow.cli import check, compare, preset, results, scenario, table
from moleflow.config.errors import told_plainly

COMMANDS = (check, scenario, preset, results, table, compare)


@told_plainly
def main() -> None:
    """Parses the command line and runs the command."""
    parser = argparse.ArgumentParser(prog="moleflow", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for command in COMMANDS:
        command.add(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)
