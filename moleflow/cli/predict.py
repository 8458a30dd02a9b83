"""`moleflow predict`: judges images by what the pipeline learned; the exit status says what was found."""

import argparse
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from moleflow.config.errors import MoleflowError

NORMAL, ALARM, UNJUDGED, FAILED = range(4)  # exit status
EPILOG = """exit status: 0 if all images are normal; 1 if one raises an alarm; 2 if one shows no known product
or cannot be judged, whatever the others; 3 if the command itself failed"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.epilog = EPILOG
    parser.add_argument("images", nargs="+", help="files, folders, quoted patterns, or - for names on standard input")
    parser.add_argument("--product", help="the product that all images show; default: route each image")
    parser.add_argument("--out", type=Path, help="where to write the predictions: .csv or .jsonl; default: print them")
    parser.add_argument("--maps", type=Path, help="folder for anomaly maps: .npy, and .png laid over the image")
    parser.add_argument("--masks", type=Path, help="folder for masks of the marked pixels, .png")
    parser.add_argument("--source", default=".", help="the repository, or a folder with its artifacts; default: here")
    parser.add_argument("--rev", help="a commit, branch or tag of the repository, whose artifacts DVC fetches")
    parser.add_argument("--weights", help="of the backbone: package, hub or a safetensors file; default: as it was")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")

    def fail(message: str) -> NoReturn:
        parser.print_usage(sys.stderr)
        parser.exit(FAILED, f"{parser.prog}: error: {message}\n")

    parser.error = fail  # type: ignore[method-assign]  # argparse's own status for it is 2


def run(arguments: argparse.Namespace) -> None:
    """Prints or writes the predictions, and exits with what they say.

    Args:
        arguments: images and options.
    """
    try:
        status = _predict(arguments)
    except MoleflowError as error:
        print(f"error: {error}", file=sys.stderr)
        status = FAILED
    except Exception:  # a bug, which must not look like an alarm
        traceback.print_exc()
        status = FAILED
    sys.exit(status)


def _predict(arguments: argparse.Namespace) -> int:
    from moleflow.inspections.asked import asked_images

    images = asked_images(arguments.images, sys.stdin)
    kind = _kind(arguments.out)

    from moleflow.files.artifacts import write_text
    from moleflow.inspections.judged import judged
    from moleflow.inspections.rows import FORMATS, row
    from moleflow.inspector import Inspector
    from moleflow.routing.rejection import UNKNOWN

    inspector = Inspector.load(arguments.source, rev=arguments.rev, weights=arguments.weights, device=arguments.device)
    pictured = arguments.maps is not None or arguments.masks is not None
    if pictured:
        from moleflow.inspections.pictures import file_names, save_pictures

        names = file_names(images)
    rows = []
    for each in judged(inspector, images, product=arguments.product):
        rows.append(row(each))
        if pictured and each.inspection is not None and each.inspection.product != UNKNOWN:
            inspected = (each.image, each.inspection)
            save_pictures(inspected, inspector, names[each.image], maps=arguments.maps, masks=arguments.masks)
    text = FORMATS[kind](rows)
    if arguments.out is None:
        print(text, end="")
    else:
        write_text(arguments.out, text)
    if any(each["alarm"] is None for each in rows):
        return UNJUDGED
    return ALARM if any(each["alarm"] for each in rows) else NORMAL


def _kind(out: Path | None) -> str:
    """What to write: by the file's suffix, or a table for a person and CSV for a pipe."""
    if out is None:
        return "table" if sys.stdout.isatty() else "csv"
    if out.suffix not in (".csv", ".jsonl"):
        raise MoleflowError(f"--out {out}: predictions are written as .csv or .jsonl")
    return out.suffix[1:]
