"""What there is to know of a product's folder, in a few lines that a person reads."""

from collections import Counter
from dataclasses import dataclass
from statistics import median_low

from moleflow.datasets.picture import Picture
from moleflow.datasets.sieves import groups_of_copies
from moleflow.images.bit_depth import WHITE_16

SHOWN = 6  # sizes and kinds of defect


@dataclass(frozen=True)
class Overview:
    """What `moleflow check`, stage index and the report say of a product.

    Attributes:
        facts: what it is to what was found.
        notes: sentences about what is left out, clipped, resized or dropped.
        train, calibration: how many images there are to learn from and for calibration.
        calibration_fraction: share of the normal images drawn for calibration; None where the layout has its own.
        side: median of the images' smaller side, in pixels.
    """

    facts: dict[str, str]
    notes: list[str]
    train: int
    calibration: int
    calibration_fraction: float | None
    side: int

    def __str__(self) -> str:
        """One line for each fact and note."""
        return block(self.facts, self.notes)


def block(facts: dict[str, str], notes: list[str]) -> str:
    """What there is to say of a product, for the terminal.

    Args:
        facts: what it is to what was found.
        notes: sentences about what is odd.

    Returns:
        One line for each fact and note.
    """
    return "\n".join([*(f"  {what}: {found}" for what, found in facts.items()), *map("  note: {}".format, notes)])


def overview(
    used: list[Picture],
    all_pictures: list[Picture],
    left_out: int,
    notes: list[str],
    white: float | None,
    calibration_fraction: float,
) -> Overview:
    """Puts together what was found.

    Args:
        used: the pictures that the index lists.
        all_pictures: those that the layout lists, readable or not.
        left_out: how many files of the folder belong to neither image nor mask.
        notes: sentences about what is odd.
        white: value that is white in images of more than 8 bits, see `moleflow.images.bit_depth.find_white`.
        calibration_fraction: the key of params.yaml.

    Returns:
        The overview.
    """
    count = Counter(picture.split for picture in used)
    defective = [picture.sample for picture in used if picture.sample.label and picture.split == "test"]
    dropped = len(all_pictures) - len(used)
    copies = groups_of_copies([picture for picture in all_pictures if not picture.unreadable])
    masked = sum(sample.mask is not None for sample in defective)
    facts = {
        "images": f"{count['train']} to learn from, {count['calibration']} for calibration, "
        f"{count['test'] - len(defective)} normal and {len(defective)} defective ones to test",
        "left out": _parts({"images": dropped, "other files": left_out}) or "nothing",
        "sizes": _counted(Counter(f"{width}×{height}" for width, height in (picture.size for picture in used))),
        "values": _values(used, white),
        "masks": f"{masked} of {len(defective)} defective images have one",
        "kinds of defect": _counted(Counter(sample.defect for sample in defective)) or "none",
        "the same picture twice": f"{len(copies)} pictures" if copies else "never",
    }
    notes = [note.encode("utf-8", "backslashreplace").decode() for note in notes]  # names of files may be no text
    drawn = not any(picture.sample.split == "calibration" for picture in all_pictures)
    side = median_low(min(picture.size) for picture in used)
    fraction = calibration_fraction if drawn else None
    return Overview(facts, notes, count["train"], count["calibration"], fraction, side)


def _parts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in numbers.items() if number)


def _values(pictures: list[Picture], white: float | None) -> str:
    kinds = _counted(Counter(_kind(picture.kind) for picture in pictures))
    deep = [picture for picture in pictures if picture.deep]
    if not deep:
        return kinds
    top = max(picture.largest for picture in deep)
    return f"{kinds}; the largest is {top:g}, and {white or WHITE_16:g} is white"


def _kind(name: str) -> str:
    return "floating point" if name.startswith("float") else f"{name.removeprefix('u').removeprefix('int')} bits"


def _counted(counter: Counter[str]) -> str:
    """The most frequent ones, with their number if there are several."""
    shown = [f"{what} ({number})" for what, number in counter.most_common(SHOWN)] if len(counter) > 1 else list(counter)
    rest = len(counter) - SHOWN
    return ", ".join(shown) + (f" and {rest} others" if rest > 0 else "")
