"""What is odd about a product's folder and forbids nothing, but must be said."""

from pathlib import Path

import numpy as np

from moleflow.datasets.mistakes import two_sizes
from moleflow.datasets.picture import Picture
from moleflow.datasets.sample import Sample
from moleflow.images.bit_depth import WHITE_16
from moleflow.images.decoding import decode
from moleflow.images.listing import list_files


def oddities(pictures: list[Picture], white: float | None) -> list[str]:
    """Odd masks, images without one, files of several pictures, several bit depths, clipped values.

    Args:
        pictures: the pictures that are used.
        white: value that is white in images of more than 8 bits; None if nothing tells.

    Returns:
        One sentence each.
    """
    defective = [picture for picture in pictures if picture.sample.label]
    bare = [picture.sample.path for picture in defective if picture.sample.mask is None]
    notes = [
        f"{two_sizes(picture)}: the mask is resized"
        for picture in pictures
        if picture.mask_size not in (None, picture.size)
    ]
    if 0 < len(bare) < len(defective):
        count = f"{len(bare)} of {len(defective)} defective images"
        notes.append(f"{count} have no mask, pixel metrics leave them out; the first is {bare[0]}")
    notes += _odd_masks({picture.sample.mask: picture.marked for picture in defective if picture.sample.mask})
    several = [picture for picture in pictures if picture.frames > 1]
    if several:
        first = several[0]
        notes.append(
            f"{len(several)} files hold several pictures, of which the first is used; {first.sample.path} has "
            f"{first.frames}"
        )
    if white is not None and len({picture.deep for picture in pictures}) > 1:
        count = f"{sum(not picture.deep for picture in pictures)} of {len(pictures)} images"
        notes.append(f"{count} hold 8 bits, whose white is 255; that of the others is {white:g}")
    return notes + _clipped(pictures, white or WHITE_16)


def _odd_masks(marked: dict[Path, float]) -> list[str]:
    """Masks that mark nothing, and masks that seem to mark what is normal."""
    notes = []
    empty = [mask for mask, share in marked.items() if not share]
    if empty:
        count = f"{len(empty)} masks of defective images mark nothing"
        notes.append(f"{count}, pixel metrics leave these images out; the first is {empty[0]}")
    mostly = [mask for mask, share in marked.items() if share > 0.5]
    if len(mostly) > len(marked) / 2:
        notes.append(
            f"{len(mostly)} of {len(marked)} masks mark more than half of their image; black must be what is normal: "
            f"invert them if it is white; the first is {mostly[0]}"
        )
    return notes


def _clipped(pictures: list[Picture], white: float) -> list[str]:
    beyond = [picture for picture in pictures if picture.deep and (picture.largest > white or picture.smallest < 0)]
    if not beyond:
        return []
    shares = []
    for picture in beyond:
        values = decode(picture.sample.path)
        shares.append(float(((values < 0) | (values > white)).mean()))
    most = int(np.argmax(shares))
    return [
        f"values below 0 or above {white:g}, which is white, are clipped in {len(beyond)} images, most of them in "
        f"{beyond[most].sample.path} ({100 * shares[most]:.3g} % of its values); bit_depth sets another white"
    ]


def left_out(root: Path, samples: list[Sample]) -> dict[str, list[Path]]:
    """Files that are neither image nor mask; hidden ones do not count.

    Args:
        root: the product's folder.
        samples: all that the layout lists.

    Returns:
        Their paths by folder and suffix.
    """
    used = {root / "labels.csv", *(sample.path for sample in samples)}
    for mask in (sample.mask for sample in samples if sample.mask):
        used |= set(list_files(mask)) if mask.is_dir() else {mask}
    groups: dict[str, list[Path]] = {}
    for path in list_files(root):
        if path not in used:
            groups.setdefault((path.parent.relative_to(root) / f"*{path.suffix}").as_posix(), []).append(path)
    return groups
