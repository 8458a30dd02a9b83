"""How far an image is from the training images most like it, which routing and rejection read."""

import torch
from jaxtyping import Float
from torch import Tensor

NEIGHBORS = 5
AT_ONCE = 512  # images compared with all others at once


def neighbor_distances(embedded: Float[Tensor, "N D"], known: Float[Tensor, "M D"]) -> Float[Tensor, " N"]:
    """Mean Euclidean distance of images to their nearest training images.

    A product is as wide as its images are, whatever its shape, and as narrow: an image of its next session, which lies
    outside all of them, is still nearer to it than to others (docs/quality.md, Router).

    Args:
        embedded: embeddings of images, (N, D).
        known: embeddings of the training images, M of them.

    Returns:
        Mean distance to the `NEIGHBORS` nearest, or to all if there are fewer, (N,), float64.
    """
    count = min(NEIGHBORS, len(known))
    parts = [
        torch.cdist(part.double(), known.double()).topk(count, largest=False).values.mean(1)
        for part in embedded.split(AT_ONCE)
    ]
    return torch.cat(parts)


def left_out_distances(embedded: Float[Tensor, "N D"]) -> Float[Tensor, " N"]:
    """The same of training images, each to the others.

    Args:
        embedded: embeddings of the training images, N of them, two at least.

    Returns:
        Mean distances, (N,), float64.
    """
    count = min(NEIGHBORS, len(embedded) - 1)
    images = embedded.double()
    found = []
    for start in range(0, len(images), AT_ONCE):
        distances = torch.cdist(images[start : start + AT_ONCE], images)
        own = torch.arange(len(distances))
        distances[own, start + own] = torch.inf
        found.append(distances.topk(count, largest=False).values.mean(1))
    return torch.cat(found)
