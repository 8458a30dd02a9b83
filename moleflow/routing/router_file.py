"""The router as a file: which member it is, whom it knows in which order, and when it rejects an image."""

from dataclasses import asdict, dataclass
from pathlib import Path

from moleflow.files.artifacts import FORMAT, read_json, require_format, write_json


@dataclass(frozen=True)
class RouterFile:
    """What data/router.json holds.

    Attributes:
        router: name in `moleflow.routing.routers.ROUTERS`.
        reject_rate: see `moleflow.routing.rejection.rejected`.
        tasks: in order of arrival.
        products: product to its task, in order of arrival.
        prototypes: product to the SHA-256 of its prototype's file.
    """

    router: str
    reject_rate: float
    tasks: list[str]
    products: dict[str, str]
    prototypes: dict[str, str]


def write_router(path: Path, content: RouterFile) -> None:
    """Writes the file, whole or not at all.

    Args:
        path: the file.
        content: what it holds.
    """
    write_json(path, {"format": FORMAT, **asdict(content)})


def read_router(path: Path) -> RouterFile:
    """Reads the file.

    Args:
        path: the file.

    Returns:
        What it holds.

    Raises:
        ArtifactError: it does not exist, is not JSON, or another version of moleflow wrote it.
    """
    content = read_json(path)
    require_format(path, content.pop("format", None))
    return RouterFile(**content)
