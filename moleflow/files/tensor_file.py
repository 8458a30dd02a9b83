"""Tensors with metadata as one safetensors file: how prototypes, the base and experts are stored."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from moleflow.files.artifacts import FORMAT, ArtifactError, require_file, require_format, written_whole


def save_tensors(path: Path, kind: str, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Writes tensors and metadata as one safetensors file.

    The same content gives the same bytes: names are sorted and the metadata is one JSON string
    with sorted keys (safetensors keeps its own header entries in no fixed order).

    Args:
        path: the file.
        kind: what it holds, in a word.
        tensors: tensors by name.
        metadata: anything that JSON can hold.
    """
    content = save(
        {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)},
        {"moleflow": json.dumps({"format": f"{kind} {FORMAT}", "metadata": metadata}, sort_keys=True)},
    )
    with written_whole(path) as partial:
        partial.write_bytes(content)


def load_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `save_tensors` wrote.

    Args:
        path: the file.
        kind: what it must hold.

    Returns:
        The tensors by name, and the metadata.

    Raises:
        ArtifactError: the file is missing or broken, or does not hold that.
    """
    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = (file.metadata() or {}).get("moleflow")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); delete it and run `dvc repro`") from error
    if metadata is None:
        raise ArtifactError(f"{path} was not written by moleflow; delete it and run `dvc repro`")
    content = json.loads(metadata)
    require_format(path, content.get("format"), f"{kind} {FORMAT}")
    return tensors, content["metadata"]
