"""From raw layer maps to patch features and the embeddings of images."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from moleflow.config.errors import MoleflowError
from moleflow.config.registry import choose


def _mean_of_layers(maps: list[Tensor], neighborhood: int, embed_dim: int, grid: int) -> Tensor:
    """Every layer's C·k² neighborhood values pooled to embed_dim, then the mean over layers."""
    embedded = []
    for layer in maps:
        count, _, height, width = layer.shape
        unfolded = F.unfold(layer, neighborhood, padding=neighborhood // 2)  # (N, C·k², H·W)
        pooled = F.adaptive_avg_pool1d(unfolded.transpose(1, 2), embed_dim)  # (N, H·W, D)
        embedded.append(_to_grid(pooled.transpose(1, 2).reshape(count, embed_dim, height, width), grid))
    return torch.stack(embedded).mean(0)


def _concatenated_layers(maps: list[Tensor], neighborhood: int, embed_dim: int, grid: int) -> Tensor:
    """Every channel averaged over its neighborhood, all layers' channels side by side."""
    smoothed = [F.avg_pool2d(layer, neighborhood, stride=1, padding=neighborhood // 2) for layer in maps]
    channels = torch.cat([_to_grid(layer, grid) for layer in smoothed], dim=1)  # (N, ΣC, G, G)
    if embed_dim == channels.shape[1]:
        return channels
    pooled = F.adaptive_avg_pool1d(channels.flatten(2).transpose(1, 2), embed_dim)  # (N, G·G, D)
    return pooled.transpose(1, 2).unflatten(2, (grid, grid))


def _to_grid(layer: Tensor, grid: int) -> Tensor:
    """Bilinear where the grid is finer than the layer; area averages where it is coarser, since
    bilinear sampling would skip positions."""
    if grid < layer.shape[-1]:
        return F.adaptive_avg_pool2d(layer, grid)
    return F.interpolate(layer, size=(grid, grid), mode="bilinear", align_corners=False)


LAYER_MERGES: dict[str, Callable[[list[Tensor], int, int, int], Tensor]] = {
    "mean": _mean_of_layers,
    "concat": _concatenated_layers,
}


def patch_features(
    maps: list[Tensor], *, neighborhood: int, embed_dim: int, grid: int, layer_merge: str
) -> Float[Tensor, "N grid grid embed_dim"]:
    """Patch features of images from their raw layer maps.

    Args:
        maps: one map per layer, each (N, C_l, H_l, W_l).
        neighborhood: odd side of the window a patch sees, in positions; 1 is the position alone.
        embed_dim: channels of a patch feature, pooled from the layers' channels.
        grid: patches per side; 0 takes the finest layer's.
        layer_merge: "mean" as in PatchCore, or "concat" as in PaDiM.

    Returns:
        Patch features, (N, grid, grid, embed_dim), float32.

    Raises:
        ChoiceError: `layer_merge` is unknown.

    Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, section
    3.1 (mean); Defard et al., "PaDiM", ICPR 2020, section III-A (concat).
    """
    side = grid or max(layer.shape[-1] for layer in maps)
    merge = choose(LAYER_MERGES, layer_merge, "layer_merge")
    # Channels last in memory, as in the result: pooling is several times faster, and nothing is copied at the end.
    layers = [layer.contiguous(memory_format=torch.channels_last).float() for layer in maps]
    return merge(layers, neighborhood, embed_dim, side).permute(0, 2, 3, 1)


def layer_channels(maps: list[Tensor], *, embed_dim: int, layer_merge: str) -> list[int]:
    """How many channels of a patch feature come from each layer, in the layers' order.

    Args:
        maps: one map per layer, each (N, C_l, H_l, W_l).
        embed_dim: channels of a patch feature.
        layer_merge: name in `LAYER_MERGES`.

    Returns:
        Channels per layer where layers lie side by side, unpooled; otherwise [embed_dim], as one layer.
    """
    channels = [layer.shape[1] for layer in maps]
    return channels if layer_merge == "concat" and sum(channels) == embed_dim else [embed_dim]


def modeled_channels(layers: list[int], flow_layers: int) -> int:
    """Number of channels of a patch feature that the flow models.

    Args:
        layers: channels of each layer, from `layer_channels`.
        flow_layers: how many layers the flow models, from the first on; 0 for all.

    Returns:
        Their channels in sum.

    Raises:
        MoleflowError: a patch feature has fewer layers side by side.
    """
    if flow_layers > len(layers):
        raise MoleflowError(
            f"flow_layers: {flow_layers} of {len(layers)} layers; a patch feature keeps its layers apart only with "
            "layer_merge: concat and all their channels as embed_dim; 0 takes everything"
        )
    return sum(layers[:flow_layers] or layers)


def embeddings(features: Float[Tensor, "N H W C"]) -> Float[Tensor, "N C"]:
    """One vector per image for the router: each channel's median over the patches.

    A median does not follow a defect that covers less than half the image. Images are routed by the deepest layer's
    channels, which change least with light, noise and focus, and known by those of all layers (docs/quality.md,
    Router). That was tried on lite0, whose layers are linear at their end; of layers that end in a ReLU many medians
    may be 0.

    Args:
        features: patch features, layers side by side, the deepest last, (N, H, W, C).

    Returns:
        Embeddings, (N, C).
    """
    return features.flatten(1, 2).median(dim=1).values
