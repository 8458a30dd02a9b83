"""`moleflow predict`: judges images by what the pipeline learned; the exit status says what was found."""

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from moleflow.config.errors import MoleflowError

if TYPE_CHECKING:
    from moleflow.inspections.judged import Judged
    from moleflow.inspections.pictures import Files
    from moleflow.inspector import Inspector

NORMAL, ALARM, UNJUDGED, FAILED = range(4)  # exit status
EPILOG = """exit status: 0 if all images are normal; 1 if one raises an alarm; 2 if one shows no known product,
cannot be judged or drawn, whatever the others; 3 if the command itself failed"""


class PredictError(MoleflowError):
    """The predictions cannot be written."""


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
    parser.add_argument("--max-megapixels", type=megapixels, default=200.0, help="judge no larger images; default: 200")

    def fail(message: str) -> NoReturn:
        parser.print_usage(sys.stderr)
        parser.exit(FAILED, f"{parser.prog}: error: {message}\n")

    parser.error = fail  # type: ignore[method-assign]  # argparse's own status for it is 2


def megapixels(text: str) -> float:
    """The value of --max-megapixels.

    Args:
        text: as it was given.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: it is not above 0.
        ValueError: it is no number.
    """
    value = float(text)
    if not value > 0:  # nor is "nan"
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


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

    from moleflow.files.artifacts import require_writable
    from moleflow.images.decoding import ImageError
    from moleflow.inspections.judged import judged
    from moleflow.inspections.pictures import planned_files
    from moleflow.inspections.rows import FORMATS, row
    from moleflow.inspector import Inspector

    if arguments.out is not None:
        require_writable(arguments.out)
    files = planned_files(images, maps=arguments.maps, masks=arguments.masks)
    inspector = Inspector.load(
        arguments.source,
        rev=arguments.rev,
        weights=arguments.weights,
        device=arguments.device,
        max_megapixels=arguments.max_megapixels,
    )
    save = _saver(arguments, inspector, files)
    rows, unsaved = [], False
    try:
        for each in judged(inspector, images, product=arguments.product):
            rows.append(row(each))
            try:
                save(each)
            except ImageError as error:  # its file went since it was judged, as a line takes its images away
                print(f"warning: no map or mask of {error}", file=sys.stderr)
                unsaved = True
    finally:  # whatever happens to an image, what was said of those before it is not lost
        if rows:  # or else a table without a row would replace the one of another day
            _tell(FORMATS[kind](rows), arguments.out)
    if unsaved or any(each["alarm"] is None for each in rows):
        return UNJUDGED
    return ALARM if any(each["alarm"] for each in rows) else NORMAL


def _tell(text: str, out: Path | None) -> None:
    """Writes the predictions, or prints them."""
    from moleflow.files.artifacts import write_text

    if out is None:
        print(text, end="")
        return
    try:
        write_text(out, text)
    except (OSError, MoleflowError) as error:
        print(text, end="")
        raise PredictError(f"--out {out} cannot be written ({error}); the predictions were printed instead") from error


def _saver(arguments: argparse.Namespace, inspector: "Inspector", files: "Files") -> Callable[["Judged"], None]:
    """What writes the pictures of an image that was judged."""
    if not (arguments.maps or arguments.masks):
        return lambda _: None
    from moleflow.inspections.pictures import Pictures
    from moleflow.routing.rejection import UNKNOWN

    pictures = Pictures(inspector, files)

    def save(each: "Judged") -> None:
        if each.inspection is not None and each.inspection.product != UNKNOWN:
            pictures.save(each.image, arguments.product, each.inspection)

    return save


def _kind(out: Path | None) -> str:
    """What to write: by the file's suffix, or a table for a person and CSV for a pipe."""
    if out is None:
        return "table" if sys.stdout.isatty() else "csv"
    if out.suffix not in (".csv", ".jsonl"):
        raise PredictError(f"--out {out}: predictions are written as .csv or .jsonl")
    return out.suffix[1:]
