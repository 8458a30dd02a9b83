"""Files of the base and of the experts, and putting the two together."""

from pathlib import Path
from typing import Any

from torch import Tensor

from moleflow.artifacts import ArtifactError, digest
from moleflow.flow.density import Density, base_state, expert_names
from moleflow.memory import Memory
from moleflow.tensors_file import load_tensors, save_tensors


def save_base(path: Path, density: Density, arguments: dict[str, Any]) -> None:
    """Writes the shared part of a density with the arguments that later densities must share."""
    save_tensors(path, base_state(density), {"arguments": arguments})


def save_expert(
    path: Path,
    members: list[dict[str, Tensor]],
    arguments: dict[str, Any],
    *,
    memories: list[dict[str, list[Tensor]]],
    base: Path,
    features: dict[str, str],
) -> None:
    """Writes an expert with the digests of the base and of the features it was learnt on.

    Args:
        path: the file.
        members: tensors by name; one member, or one per fold of cross-calibration.
        arguments: of `Density`.
        memories: of each member, per product that the expert serves, the patches of each layer.
        base: file of the base.
        features: per product that the expert serves, the prototype's digest of its features.
    """
    links = {"base_digest": digest(base), "features": features, "members": len(members)}
    tensors = {f"{number}/{name}": value for number, member in enumerate(members) for name, value in member.items()}
    for number, products in enumerate(memories):
        for product, layers in products.items():
            tensors |= {f"memory/{number}/{product}/{layer}": patches for layer, patches in enumerate(layers)}
    save_tensors(path, tensors, {"arguments": arguments, **links})


def load_base(path: Path, expert_arguments: dict[str, Any]) -> tuple[Density, dict[str, Any]]:
    """A density with the stored base and a new expert.

    Args:
        path: what `save_base` wrote.
        expert_arguments: the arguments of `Density` that are the expert's own.

    Returns:
        The density, and all its arguments.
    """
    tensors, metadata = load_tensors(path)
    arguments = {**metadata["arguments"], **expert_arguments}
    density = Density(**arguments)
    _load(density, tensors, set(base_state(density)), path)
    return density, arguments


def load_expert(base: Path, expert: Path, *, product: str) -> tuple[list[Density], list[Memory]]:
    """The expert's members over the stored base, in eval mode, and what each remembers of a product.

    The memories are empty if the expert was told to keep none.

    Raises:
        ArtifactError: a file is missing or broken, or the expert was learnt over another base.
    """
    tensors, metadata = load_tensors(expert)
    if metadata["base_digest"] != digest(base):
        raise ArtifactError(f"{expert} was learnt over another base than {base}; run `dvc repro`")
    shared = load_tensors(base)[0]
    members, memories = [], []
    for number in range(metadata["members"]):
        own, kept = (_below(prefix, tensors) for prefix in (f"{number}/", f"memory/{number}/{product}/"))
        density = Density(**metadata["arguments"])
        _load(density, shared, set(base_state(density)), base)
        _load(density, own, set(expert_names(density)), expert)
        members.append(density.requires_grad_(False).eval())
        memories.append(Memory([kept[str(layer)] for layer in range(len(kept))]))
    return members, memories


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _load(density: Density, tensors: dict[str, Tensor], needed: set[str], path: Path) -> None:
    """Puts a file's tensors into a density; they must be exactly those that are needed."""
    differing = sorted(needed ^ set(tensors))
    if differing:
        says = "lacks" if differing[0] in needed else "has an unknown"
        raise ArtifactError(f"{path} {says} {differing[0]}; delete it and run `dvc repro`")
    try:
        density.load_state_dict(tensors, strict=False)  # base and expert are two files
    except RuntimeError as error:
        raise ArtifactError(f"{path} does not fit the arguments stored in it: {error}") from error
