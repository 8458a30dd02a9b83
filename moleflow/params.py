"""params.yaml -> a frozen, typed Config; loud about every mistake."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

PARAMS = Path("params.yaml")

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
Above = Annotated[float, Field(gt=0)]


class ParamsError(ValueError):
    """params.yaml is wrong; the message names the key and what it may be."""


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("must be odd")
    return value


Odd = Annotated[int, Field(ge=1), AfterValidator(_odd)]
OddOrZero = Annotated[int, Field(ge=0), AfterValidator(lambda value: value and _odd(value))]


class Config(BaseModel):
    """What one stage reads of params.yaml: its fields are the keys. Subclasses give no defaults."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class ProductClass(Config):
    """One line under `classes`."""

    task: Annotated[str, Field(pattern=r"^\w+$")]
    layout: str
    path: str


class Products(Config):
    """The products and the order of their tasks; every stage checks them, whatever else it reads."""

    classes: dict[Annotated[str, Field(pattern=r"^\w+$")], ProductClass]
    first_task: str
    later_tasks: list[str]

    @property
    def tasks(self) -> list[str]:
        """All tasks, in order of arrival."""
        return [self.first_task, *self.later_tasks]

    @property
    def by_arrival(self) -> dict[str, str]:
        """Product to task in order of arrival: by task, then as listed under `classes`."""
        order = sorted(self.classes, key=lambda name: self.tasks.index(self.classes[name].task))
        return {name: self.classes[name].task for name in order}


AnyConfig = TypeVar("AnyConfig", bound=Config)


def load_params(config: type[AnyConfig], path: Path = PARAMS) -> AnyConfig:
    """Reads the keys that `config` names.

    Args:
        config: the stage's Config; its field names are keys of params.yaml.
        path: the file to read.

    Raises:
        ParamsError: the file is unreadable, a key is missing, has the wrong type or an impossible
            value, or a class's task is not listed (or a listed task has no class).
    """
    try:
        content = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ParamsError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ParamsError(f"{path} has no keys")
    _check_tasks(_validated(Products, content, path), path)
    return _validated(config, content, path)


@lru_cache(maxsize=1)
def _parsed(text: str) -> Any:
    """The content, parsed once: a stage asks for several groups of keys."""
    return YAML(typ="safe", pure=True).load(text)


def classes_of(task: str, path: Path = PARAMS) -> list[str]:
    """Names of a task's classes, in the order of arrival."""
    return [name for name, its_task in load_params(Products, path).by_arrival.items() if its_task == task]


def _validated(config: type[AnyConfig], content: dict[str, Any], path: Path) -> AnyConfig:
    try:
        return config(**{key: content[key] for key in config.model_fields if key in content})
    except ValidationError as error:
        raise ParamsError(f"{path}: " + "; ".join(map(_in_words, error.errors()))) from error


def _in_words(mistake: Any) -> str:
    """One of pydantic's findings; one of several keys together names them itself."""
    said = mistake["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, mistake['loc']))}: {said}, not {mistake['input']!r}" if mistake["loc"] else said


def _check_tasks(tasks: Products, path: Path) -> None:
    listed = tasks.tasks
    if len(set(listed)) < len(listed):
        raise ParamsError(f"{path}: a task is listed twice in first_task and later_tasks: {listed}")
    for name, entry in tasks.classes.items():
        if entry.task not in listed:
            raise ParamsError(
                f"{path}: classes.{name}.task: {entry.task!r} is not listed; add it to later_tasks {tasks.later_tasks}"
            )
    empty = set(listed) - {entry.task for entry in tasks.classes.values()}
    if empty:
        raise ParamsError(f"{path}: no class has task {sorted(empty)}; remove it from later_tasks or add its class")
