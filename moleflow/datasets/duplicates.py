"""The same picture twice: in several splits it would make metrics or p-values worthless, within train distances."""

from collections.abc import Callable
from dataclasses import dataclass

from moleflow.datasets.sample import DatasetError, Sample

EARLIER = {"train": 0, "calibration": 1, "test": 2}  # copies in an earlier split are dropped first


@dataclass(frozen=True)
class Picture:
    """An image of a product, read once.

    Attributes:
        sample: what its layout says of it.
        split: "train", "calibration" or "test".
        content: SHA-256 of its pixels as a viewer shows them.
    """

    sample: Sample
    split: str
    content: str

    def __str__(self) -> str:
        """Its path and split."""
        return f"{self.sample.path} ({self.split})"


def _refuse(pictures: list[Picture]) -> tuple[list[Picture], list[str]]:
    groups = _groups(pictures)
    across = [group for group in groups if len({picture.split for picture in group}) > 1]
    if across:
        raise DatasetError(
            "the same picture is in several splits, keep one of each, or set duplicates: drop: " + _named(across)
        )
    inside = [group for group in groups if group[0].split != "test"]
    return pictures, [f"the same picture twice; duplicates: drop would keep one: {_named(inside)}"] if inside else []


def _drop(pictures: list[Picture]) -> tuple[list[Picture], list[str]]:
    dropped = []
    for group in _groups(pictures):
        copies = sorted(group, key=lambda picture: EARLIER[picture.split])  # stable: the first of a split comes first
        last = copies[-1].split
        spared = [copy for copy in copies if copy.split == last]
        dropped += [copy for copy in copies if copy.split != last] + (spared[1:] if last != "test" else [])
    gone = set(dropped)
    kept = [picture for picture in pictures if picture not in gone]
    named = ", ".join(map(str, dropped))
    return kept, [f"{len(dropped)} copies of other pictures dropped: {named}"] if dropped else []


def _groups(pictures: list[Picture]) -> list[list[Picture]]:
    """Pictures that are the same as others, by what they show."""
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.content, []).append(picture)
    return [group for group in groups.values() if len(group) > 1]


def _named(groups: list[list[Picture]]) -> str:
    return "; ".join(" = ".join(map(str, group)) for group in groups)


# A member maps a product's pictures to those that are used and to what is to be said of the others.
DUPLICATES: dict[str, Callable[[list[Picture]], tuple[list[Picture], list[str]]]] = {"refuse": _refuse, "drop": _drop}
