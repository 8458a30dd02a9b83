"""params.yaml -> a frozen, typed Config; every mistake is reported."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from moleflow.config.errors import MoleflowError

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
Above = Annotated[float, Field(gt=0)]


# What pydantic says of lists in words of its own, by the type of its finding.
OF_LISTS = {
    "list_type": "must be a list",
    "too_short": "must be a list of {min_length} or more",
    "too_long": "must be a list of {max_length} at most",
}


class ParamsError(MoleflowError):
    """params.yaml is wrong; the message names the key and what it may be."""


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("must be odd")
    return value


Odd = Annotated[int, Field(ge=1), AfterValidator(_odd)]
OddOrZero = Annotated[int, Field(ge=0), AfterValidator(lambda value: value and _odd(value))]


class Config(BaseModel):
    """What one stage reads of params.yaml: its fields are the keys. Subclasses give no defaults."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


AnyConfig = TypeVar("AnyConfig", bound=Config)


def load_params(config: type[AnyConfig], path: Path) -> AnyConfig:
    """Reads the keys that `config` names.

    Args:
        config: the stage's Config; its field names are keys of the file.
        path: params.yaml, or the keys of one stage of one product (`Paths.product_params`, `Paths.task_params`).

    Returns:
        Their values, checked.

    Raises:
        ParamsError: the file is unreadable, a key is missing, has the wrong type or an impossible value.
    """
    try:
        return _made(config, read_params(path))
    except ValidationError as error:
        raise ParamsError(f"{path}: " + "; ".join(map(_in_words, error.errors()))) from error


def read_params(path: Path) -> dict[str, Any]:
    """Reads all keys and values of a file.

    Args:
        path: params.yaml, or one of the JSON files that stage check makes of it.

    Returns:
        Value by key, not checked yet.

    Raises:
        ParamsError: it is missing, is not YAML, or has a key that is not text.
    """
    try:
        content = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError, RecursionError) as error:  # a date or number may be none
        raise ParamsError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ParamsError(f"{path} has no keys")
    classes = content.get("classes")
    keys = [*content, *(classes if isinstance(classes, dict) else [])]
    odd = [key for key in keys if not isinstance(key, str)]
    if odd:
        raise ParamsError(
            f"{path}: the keys {', '.join(map(repr, odd))} are not text to YAML, and DVC drops the stages of such a "
            "product; quote them, as in '01':"
        )
    return content


@lru_cache(maxsize=1)
def _parsed(text: str) -> Any:
    """The content, parsed once: a stage asks for several groups of keys."""
    return YAML(typ="safe", pure=True).load(text)


def mistakes(config: type[Config], content: dict[str, Any]) -> list[str]:
    """Lists what is wrong with the keys that `config` names.

    Args:
        config: names the keys.
        content: value by key.

    Returns:
        One sentence each; none if all is well.
    """
    try:
        _made(config, content)
    except ValidationError as error:
        return [_in_words(mistake) for mistake in error.errors()]
    return []


def _made(config: type[AnyConfig], content: dict[str, Any]) -> AnyConfig:
    return config(**{key: content[key] for key in config.model_fields if key in content})


def _in_words(mistake: Any) -> str:
    """One of pydantic's findings; one of several keys together names them itself."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in mistake["loc"]).removeprefix(".")
    if mistake["type"] == "missing":
        return f"{key}: the key is missing"
    said = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] in OF_LISTS:
        said = OF_LISTS[mistake["type"]].format(**mistake.get("ctx", {}))
    return f"{key}: {said}, not {mistake['input']!r}" if mistake["loc"] else said
