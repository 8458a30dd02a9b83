"""Judging many images, of which some may be unreadable."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf
from pathlib import Path

from tqdm import tqdm

from moleflow.images.decoding import ImageError
from moleflow.inspector import Inspection, Inspector
from moleflow.routing.rejection import UNKNOWN

AT_ONCE = 32  # images: their features are held together


@dataclass(frozen=True)
class Judged:
    """What is said of one image.

    Attributes:
        image: its path.
        inspection: what the inspector says; None if the image cannot be read.
        reason: why neither an alarm nor its absence can be stated; empty if one can.
    """

    image: Path
    inspection: Inspection | None
    reason: str


def judged(inspector: Inspector, images: list[Path], *, product: str | None) -> Iterator[Judged]:
    """Judges images, whatever becomes of single ones.

    Args:
        inspector: judges them.
        images: their paths.
        product: the product that all of them show; None to route each.

    Yields:
        What is said of every image, in their order.

    Raises:
        InspectionError: the product is not known, or must be given.
        ArtifactError: an expert is missing, broken, or does not belong to the other artifacts.
    """
    with tqdm(total=len(images), desc="predict", unit="image", leave=False, disable=len(images) == 1) as bar:
        for start in range(0, len(images), AT_ONCE):
            for each in _part(inspector, images[start : start + AT_ONCE], product):
                bar.update()
                yield each


def _part(inspector: Inspector, images: list[Path], product: str | None) -> list[Judged]:
    """Judges images together, or if one is unreadable each half by itself."""
    try:
        found = inspector.inspect(images, product=product)
    except ImageError as error:
        if len(images) == 1:
            return [Judged(images[0], None, str(error).removeprefix(f"{images[0]}: "))]
        half = len(images) // 2
        return _part(inspector, images[:half], product) + _part(inspector, images[half:], product)
    return [Judged(image, each, _reason(each)) for image, each in zip(images, found, strict=True)]


def _reason(inspection: Inspection) -> str:
    if inspection.product == UNKNOWN:
        return "like no product that is known"
    if isinf(inspection.threshold):
        return f"{inspection.product} has too few normal images for its alarm rate"
    return ""
