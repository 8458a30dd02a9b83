"""How many parameters a product's expert has."""

from pathlib import Path

from moleflow.files.tensor_file import load_tensors


def expert_parameters(expert: Path) -> int:
    """Number of parameters that an expert file holds per product that it serves.

    Args:
        expert: what `moleflow.flow.expert_files.save_expert` wrote.

    Returns:
        The number, rounded, normal patches included.

    Raises:
        ArtifactError: the file is missing or broken.
    """
    tensors, metadata = load_tensors(expert, "expert")
    learned = [tensor.numel() for tensor in tensors.values() if tensor.is_floating_point()]
    return round(sum(learned) / len(metadata["features"]))
