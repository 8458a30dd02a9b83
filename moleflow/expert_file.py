"""Where a product's expert lies, and how large it is; needs no flow."""

from pathlib import Path

from moleflow.tensors_file import load_tensors


def expert_file(folder: Path, name: str) -> Path:
    """The file of a product's expert: its own, or the one named as the task that its products share.

    Args:
        folder: the task's, data/experts/<task>.
        name: the product.
    """
    own = folder / f"{name}.safetensors"
    return own if own.is_file() else folder / f"{folder.name}.safetensors"


def expert_parameters(expert: Path) -> int:
    """How many numbers an expert file holds for each product that it serves, rounded."""
    tensors, metadata = load_tensors(expert)
    return round(sum(tensor.numel() for tensor in tensors.values()) / len(metadata["features"]))
