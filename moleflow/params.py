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

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ProductClass(Config):
    """One line under `classes`.

    Behind the three that every product has, keys that a product may set for itself alone; None leaves it
    with what params.yaml says for all.
    """

    task: Annotated[str, Field(pattern=r"^\w+$")]
    layout: str
    path: str
    alarm_rate: OpenFraction | None = None

    @property
    def overrides(self) -> dict[str, Any]:
        """The keys that this product sets for itself."""
        return self.model_dump(exclude={"task", "layout", "path"}, exclude_none=True)


class Products(Config):
    """The products and the order of their tasks."""

    classes: Annotated[dict[Annotated[str, Field(pattern=r"^\w+$")], ProductClass], Field(min_length=1)]
    first_task: str
    later_tasks: list[str]

    @property
    def tasks(self) -> list[str]:
        """All tasks, in order of arrival."""
        return [self.first_task, *self.later_tasks]


AnyConfig = TypeVar("AnyConfig", bound=Config)


def load_params(config: type[AnyConfig], path: Path = PARAMS) -> AnyConfig:
    """Reads the keys that `config` names.

    Args:
        config: the stage's Config; its field names are keys of the file.
        path: params.yaml, or what it comes to for one stage of one product (`paths.product_params`).

    Raises:
        ParamsError: the file is unreadable, a key is missing, has the wrong type or an impossible value.
    """
    try:
        return _made(config, read_params(path))
    except ValidationError as error:
        raise ParamsError(f"{path}: " + "; ".join(map(_in_words, error.errors()))) from error


def load_products(path: Path = PARAMS) -> Products:
    """Reads the products and tasks.

    Raises:
        ParamsError: as `load_params`, or a class's task is not listed, or a listed task has no class.
    """
    products = load_params(Products, path)
    wrong = task_mistakes(products)
    if wrong:
        raise ParamsError(f"{path}: " + "; ".join(wrong))
    return products


def read_params(path: Path = PARAMS) -> dict[str, Any]:
    """All keys and values of a file.

    Raises:
        ParamsError: it is missing, or no YAML with keys that are text.
    """
    try:
        content = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ParamsError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ParamsError(f"{path} has no keys")
    classes = content.get("classes")
    keys = [*content, *(classes if isinstance(classes, dict) else [])]
    odd = [key for key in keys if not isinstance(key, str)]
    if odd:
        raise ParamsError(
            f"{path}: the keys {', '.join(map(repr, odd))} are no text to YAML, and DVC drops the stages of such a "
            "product; quote them, as in '01':"
        )
    return content


@lru_cache(maxsize=1)
def _parsed(text: str) -> Any:
    """The content, parsed once: a stage asks for several groups of keys."""
    return YAML(typ="safe", pure=True).load(text)


def mistakes(config: type[Config], content: dict[str, Any]) -> list[str]:
    """What is wrong with the keys that `config` names, in words."""
    try:
        _made(config, content)
    except ValidationError as error:
        return [_in_words(each) for each in error.errors()]
    return []


def _made(config: type[AnyConfig], content: dict[str, Any]) -> AnyConfig:
    return config(**{key: content[key] for key in config.model_fields if key in content})


def task_mistakes(products: Products) -> list[str]:
    """What is wrong with the order of the tasks, in words."""
    listed, used = products.tasks, {entry.task for entry in products.classes.values()}
    wrong = [
        f"classes.{name}.task: {entry.task!r} is not listed; add it to later_tasks {products.later_tasks}"
        for name, entry in products.classes.items()
        if entry.task not in listed
    ]
    if len(set(listed)) < len(listed):
        wrong.append(f"a task is listed twice in first_task and later_tasks: {listed}")
    empty = sorted(set(listed) - used)
    if empty:
        wrong.append(f"no class has task {empty}; remove it from later_tasks or add its class")
    return wrong


def _in_words(mistake: Any) -> str:
    """One of pydantic's findings; one of several keys together names them itself."""
    said = mistake["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, mistake['loc']))}: {said}, not {mistake['input']!r}" if mistake["loc"] else said
