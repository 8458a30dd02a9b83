"""Choosing a member of a family by its name."""

from collections.abc import Mapping
from typing import TypeVar

Member = TypeVar("Member")


class ChoiceError(ValueError):
    """A name that is not among the choices."""


def choose(members: Mapping[str, Member], name: str, key: str) -> Member:
    """Returns `members[name]`.

    Args:
        members: the family, name to member.
        name: the name asked for.
        key: what is being chosen, as params.yaml spells it; only for the error.

    Raises:
        ChoiceError: there is no such member; the message lists the names there are.
    """
    if name not in members:
        raise ChoiceError(f"params.yaml: {key}: {name!r} is unknown; choose one of {', '.join(members)}")
    return members[name]
