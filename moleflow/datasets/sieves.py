"""What happens to images that cannot be used as they are: the same picture twice, and files that cannot be read.

In several splits the same picture would make metrics or p-values worthless; within a split it fakes distances of
images to those they were not learned with.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from moleflow.config.errors import MoleflowError
from moleflow.datasets.picture import Picture
from moleflow.datasets.sample import DatasetError

EARLIER = {"train": 0, "calibration": 1, "test": 2}  # copies in an earlier split are dropped first


class Sieved(NamedTuple):
    """The pictures that are used, sentences about the others, and what forbids to use any."""

    kept: list[Picture]
    notes: list[str]
    mistakes: list[MoleflowError]


Sieve = Callable[[list[Picture]], Sieved]


def _refuse_copies(pictures: list[Picture]) -> Sieved:
    groups = [group for group in groups_of_copies(pictures) if not _contradict(group)]  # told by `contradictions`
    across = [group for group in groups if len({picture.split for picture in group}) > 1]
    inside = [group for group in groups if group not in across and group[0].split != "test"]
    said = [f"the same picture twice; duplicates: drop would keep one: {_named(inside)}"] if inside else []
    advice = "keep one of each, or set duplicates: drop"
    wrong = f"the same picture is in several splits, {advice}: {_named(across)}"
    return Sieved(pictures, said, [DatasetError(wrong)] if across else [])


def _drop_copies(pictures: list[Picture]) -> Sieved:
    dropped = []
    for group in groups_of_copies(pictures):
        copies = sorted(group, key=lambda picture: EARLIER[picture.split])  # stable: the first of a split comes first
        last = copies[-1].split
        spared = [copy for copy in copies if copy.split == last]
        dropped += [copy for copy in copies if copy.split != last] + (spared[1:] if last != "test" else [])
    gone = {picture.sample.path for picture in dropped}
    kept = [picture for picture in pictures if picture.sample.path not in gone]
    named = ", ".join(map(str, dropped))
    return Sieved(kept, [f"{len(dropped)} copies of other pictures dropped: {named}"] if dropped else [], [])


def _refuse_unreadable(pictures: list[Picture]) -> Sieved:
    reasons = [picture.unreadable for picture in pictures] + [picture.mask_unreadable for picture in pictures]
    wrong: list[MoleflowError] = [type(reason)(f"{reason}, or set unreadable: drop") for reason in reasons if reason]
    return Sieved(_readable(pictures), [], wrong)


def _drop_unreadable(pictures: list[Picture]) -> Sieved:
    reasons = [("image", picture.unreadable) for picture in pictures if picture.unreadable]
    reasons += [("mask", picture.mask_unreadable) for picture in pictures if picture.mask_unreadable]
    return Sieved(_readable(pictures), [f"{what} dropped: {reason}" for what, reason in reasons], [])


def _readable(pictures: list[Picture]) -> list[Picture]:
    """Pictures that can be read; one whose mask cannot loses it."""
    return [
        replace(picture, sample=replace(picture.sample, mask=None)) if picture.mask_unreadable else picture
        for picture in pictures
        if not picture.unreadable
    ]


def groups_of_copies(pictures: list[Picture]) -> list[list[Picture]]:
    """Pictures that are the same as others.

    Args:
        pictures: readable pictures.

    Returns:
        One list per picture that is there more than once.
    """
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.content, []).append(picture)
    return [group for group in groups.values() if len(group) > 1]


def contradictions(pictures: list[Picture]) -> list[MoleflowError]:
    """The same picture as a normal and as a defective image: no choice of a copy says which of them is right.

    Args:
        pictures: readable pictures.

    Returns:
        At most one mistake.
    """
    groups = [group for group in groups_of_copies(pictures) if _contradict(group)]
    wrong = f"the same picture is labeled normal and defective; keep the one that is right: {_named(groups)}"
    return [DatasetError(wrong)] if groups else []


def _contradict(copies: list[Picture]) -> bool:
    return len({picture.sample.label for picture in copies}) > 1


def _named(groups: list[list[Picture]]) -> str:
    return "; ".join(" = ".join(map(str, group)) for group in groups)


DUPLICATES: dict[str, Sieve] = {"refuse": _refuse_copies, "drop": _drop_copies}
UNREADABLE: dict[str, Sieve] = {"refuse": _refuse_unreadable, "drop": _drop_unreadable}
