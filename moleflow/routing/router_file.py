"""The router as a file: which member it is, whom it knows in which order, and when it rejects an image."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moleflow.config.params import Fraction, Positive
from moleflow.files.artifacts import FORMAT, ArtifactError, read_json, require_format, write_json
from moleflow.routing.regions import Regions
from moleflow.routing.rejection import OwnImages


class RouterFile(BaseModel):
    """What data/router.json holds.

    Attributes:
        router: name in `moleflow.routing.routers.ROUTERS`.
        reject_rate: see `moleflow.routing.rejection.rejected`.
        tasks: in order of arrival.
        products: product to its task, in order of arrival.
        prototypes: product to the SHA-256 of its prototype's file.
        own_images: product to its `moleflow.routing.rejection.OwnImages`.
        candidates: how many of the nearest products judge an image.
        regions: product to its `moleflow.routing.regions.Regions`; none for another router than regional.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    router: str
    reject_rate: Fraction
    tasks: list[str]
    products: Annotated[dict[str, str], Field(min_length=1)]
    prototypes: dict[str, str]
    own_images: dict[str, OwnImages]
    candidates: Positive = 1
    regions: dict[str, Regions] = {}


def write_router(path: Path, content: RouterFile) -> None:
    """Writes the file, whole or not at all.

    Args:
        path: the file.
        content: what it holds.
    """
    write_json(path, {"format": f"router {FORMAT}", **content.model_dump(exclude_defaults=True)})


def read_router(path: Path) -> RouterFile:
    """Reads the file.

    Args:
        path: the file.

    Returns:
        What it holds.

    Raises:
        ArtifactError: it does not exist, is not JSON, holds something else, or another version of moleflow wrote it.
    """
    content = read_json(path)
    found = content if isinstance(content, dict) else {}
    require_format(path, found.get("format"), f"router {FORMAT}")
    try:
        text = json.dumps({key: value for key, value in found.items() if key != "format"})
        read = RouterFile.model_validate_json(text)  # strict, but an object of JSON may become one of ours
    except ValidationError as error:
        reason = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ArtifactError(f"{path} is not as the stage route writes it ({reason}); run `dvc repro`") from error
    regional = read.regions.keys() or read.products.keys()
    if not read.products.keys() == read.prototypes.keys() == read.own_images.keys() == regional:
        raise ArtifactError(f"{path} names other products than prototypes; run `dvc repro`")
    return read
