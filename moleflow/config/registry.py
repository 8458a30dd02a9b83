"""Registries: members of a family by their names, each made with the settings that it asks for.

A registry is a dictionary from names, as params.yaml spells them, to classes or functions. A member's keyword-only
arguments are the keys of params.yaml that it needs, and `call` passes it just these: no code in between knows them.
"""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, TypeVar

from moleflow.config.errors import MoleflowError

Settings = Mapping[str, Any]
"""Values by key of params.yaml; it may hold more keys than a member asks for."""

Member = TypeVar("Member")
Returned = TypeVar("Returned")


class ChoiceError(MoleflowError):
    """A name that is not among the choices."""


def choose(members: Mapping[str, Member], name: str, key: str) -> Member:
    """Looks a member up by its name.

    Args:
        members: the registry.
        name: the name asked for.
        key: what is being chosen, as params.yaml spells it; only for the error.

    Returns:
        `members[name]`.

    Raises:
        ChoiceError: there is no such member; the message lists the names there are.
    """
    if name not in members:
        raise ChoiceError(f"{key}: {name!r} is unknown; choose one of {', '.join(members)}")
    return members[name]


def own_settings(member: Callable[..., Any], settings: Settings) -> dict[str, Any]:
    """The settings that a member asks for: its keyword-only arguments.

    Args:
        member: a class or function.
        settings: values by key of params.yaml.

    Returns:
        Those of them that the member names.

    Raises:
        KeyError: one is missing; the caller's Config has to name it.
    """
    parameters = signature(member).parameters
    wanted = [name for name, parameter in parameters.items() if parameter.kind is Parameter.KEYWORD_ONLY]
    return {name: settings[name] for name in wanted}


def call(member: Callable[..., Returned], settings: Settings, *arguments: Any) -> Returned:
    """Calls a member with its own settings.

    Args:
        member: a class or function.
        settings: values by key of params.yaml.
        *arguments: what it is given besides, by position.

    Returns:
        What the member returns.

    Raises:
        KeyError: a setting is missing; the caller's Config has to name it.
    """
    return member(*arguments, **own_settings(member, settings))
