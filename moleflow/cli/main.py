"""The command line, `moleflow` or `python -m moleflow`: one module per command, imported when it is asked for."""

import argparse
import sys
from importlib import import_module
from importlib.metadata import version

from moleflow.config.errors import told_plainly

COMMANDS = {
    "check": "read params.yaml and every image, without DVC, and say all that is wrong or odd",
    "scenario": "write the products and tasks of a protocol into params.yaml",
    "preset": "write a named set of parameters into params.yaml",
    "enroll": "check a new product's images, list it, learn its expert, and print its card",
    "card": "print what there is of a product, what its alarm rate can promise and what its expert can see",
    "retire": "take a product away; its images stay, and no other artifact moves",
    "recalibrate": "set a product's thresholds by new normal images, without training",
    "rollback": "make a product what it was at a commit; no other artifact moves",
    "label": "say of images whether they are normal; they are judged and calibrate, and nothing learns from them",
    "predict": "judge images by what the pipeline learned",
    "results": "print the metrics of the checked-out commit as tables",
    "table": "print mean ± std over the experiments of a commit that differ only in seed or task order",
    "compare": "print methods product by product over the experiments of one or several commits",
}


@told_plainly
def main() -> None:
    """Parses the command line and runs the command."""
    parser = argparse.ArgumentParser(
        prog="moleflow", description="Continual defect inspection: products, experiments and results of a repository."
    )
    parser.add_argument("--version", action="version", version=f"moleflow {version('moleflow')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    asked = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if name == asked:  # others are not imported: torch and timm take seconds
            module = import_module(f"moleflow.cli.{name}")
            module.add_arguments(command)
            parser.error = command.error  # type: ignore[method-assign]  # for options that no command has
            command.set_defaults(run=module.run)
    arguments = parser.parse_args()
    arguments.run(arguments)
