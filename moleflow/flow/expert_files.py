"""Files of the base and of the experts, and densities made from both."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from moleflow.config.registry import Settings
from moleflow.features.normal_patches import NormalPatches
from moleflow.features.relative_likelihood import RelativeLikelihood
from moleflow.files.artifacts import ArtifactError, digest
from moleflow.files.tensor_file import load_tensors, save_tensors
from moleflow.flow.density import Density, base_state, expert_names


def save_base(path: Path, density: Density, arguments: dict[str, Any]) -> None:
    """Writes the shared part of a density with the arguments that later densities must share.

    Args:
        path: the file.
        density: base and expert.
        arguments: of `Density`, by name.
    """
    save_tensors(path, "base", base_state(density), {"arguments": arguments})


def save_expert(
    path: Path,
    folds: list[dict[str, Tensor]],
    arguments: dict[str, Any],
    *,
    normal_patches: list[dict[str, NormalPatches]],
    relatives: list[dict[str, RelativeLikelihood]],
    base: Path,
    features: dict[str, str],
) -> None:
    """Writes an expert with the digests of the base and of the features it was learned on.

    Args:
        path: the file.
        folds: the expert's tensors by name; once, or once per fold of cross-calibration.
        arguments: of `Density`.
        normal_patches: for each fold, per product that the expert serves, what is kept of its normal patches.
        relatives: likewise how unlikely these are, where that is known.
        base: file of the base.
        features: per product that the expert serves, the prototype's digest of its features.
    """
    links = {"base_digest": digest(base), "features": features, "folds": len(folds)}
    tensors = {f"{number}/{name}": tensor for number, fold in enumerate(folds) for name, tensor in fold.items()}
    for number, products in enumerate(normal_patches):
        for product, normal in products.items():
            tensors |= {f"normal/{number}/{product}/{name}": tensor for name, tensor in normal.tensors().items()}
    for number, references in enumerate(relatives):
        for product, relative in references.items():
            tensors |= {f"relative/{number}/{product}/{name}": tensor for name, tensor in vars(relative).items()}
    save_tensors(path, "expert", tensors, {"arguments": arguments, **links})


def load_base(path: Path, settings: Settings, seed: int, device: torch.device) -> tuple[Density, dict[str, Any]]:
    """Makes a density from the stored base and a new expert of a later task.

    Args:
        path: what `save_base` wrote.
        settings: the expert's own settings; the others are the base's.
        seed: of the expert's initial values.
        device: where it is to be trained.

    Returns:
        The density, and all its arguments.

    Raises:
        ArtifactError: the file is missing or broken, or comes from other code.
    """
    tensors, metadata = load_tensors(path, "base")
    shared = metadata["arguments"]
    arguments = {**shared, "settings": {**shared["settings"], **settings}, "first": False, "seed": seed}
    density = _made(arguments, path)
    _load(density, tensors, set(base_state(density)), path)
    return density.to(device), arguments


def load_expert(
    base: Path, expert: Path, *, product: str, device: torch.device
) -> tuple[list[Density], list[NormalPatches], list[RelativeLikelihood | None]]:
    """Loads an expert over the stored base.

    Args:
        base: what `save_base` wrote.
        expert: what `save_expert` wrote.
        product: whose normal patches to load.
        device: where they are to run.

    Returns:
        The densities in eval mode, one per fold, with the normal patches of each and how unlikely these are.

    Raises:
        ArtifactError: a file is missing or broken, comes from other code, or the expert was learned over another base.
    """
    tensors, metadata = load_tensors(expert, "expert")
    if metadata["base_digest"] != digest(base):
        raise ArtifactError(f"{expert} was learned over another base than {base}; run `dvc repro`")
    shared = load_tensors(base, "base")[0]
    densities: list[Density] = []
    normal_patches: list[NormalPatches] = []
    relatives: list[RelativeLikelihood | None] = []
    for number in range(metadata["folds"]):
        own = _below(f"{number}/", tensors)
        kept, references = (
            {name: tensor.to(device) for name, tensor in _below(f"{kind}/{number}/{product}/", tensors).items()}
            for kind in ("normal", "relative")
        )
        density = _made(metadata["arguments"], expert)
        _load(density, shared, set(base_state(density)), base)
        _load(density, own, set(expert_names(density)), expert)
        densities.append(density.requires_grad_(False).eval().to(device))
        normal_patches.append(NormalPatches.from_tensors(kept))
        relatives.append(RelativeLikelihood(**references) if references else None)
    return densities, normal_patches, relatives


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _made(arguments: dict[str, Any], path: Path) -> Density:
    """The density that a file asks for; one that was written before a setting existed lacks it."""
    try:
        return Density(**arguments)
    except KeyError as error:
        raise ArtifactError(f"{path} comes from code that did not know {error}; run `dvc repro`") from error


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
