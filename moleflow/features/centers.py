"""Centers: what a memory bank takes off patches by their place, before they are compared."""

import torch
from jaxtyping import Float
from torch import Tensor

from moleflow.compute.device import in_double
from moleflow.features.image_features import ImageFeatures
from moleflow.files.feature_store import READ_AT_ONCE

# Images: training images count for no more, however many there are. Crops of one photograph and pictures of one hour
# are alike, and what they happen to share at a place is not what the place shows.
INDEPENDENT = 8


def no_center(features: ImageFeatures) -> None:
    """Takes off nothing.

    Args:
        features: standardized patch features, (N, H, W, C).
    """


def position_means(features: ImageFeatures) -> Float[Tensor, "H W C"]:
    """How the mean patch of a place differs from that of all places, as far as chance would not make it.

    Channel by channel the means of the places are shrunk toward the mean of all: with a variance b between places and w
    within them, n images make places differ by w/n, so that 1 − w/(n·b) of the difference is kept, and none if that is
    below 0. Of textures, and of parts that lie any way, little or nothing is left.

    Args:
        features: standardized patch features, (N, H, W, C); read a part at a time.

    Returns:
        The difference, (H, W, C), fp16.

    Source: Efron and Morris, "Stein's estimation rule and its competitors: an empirical Bayes approach", 1973: the
    positive part of Stein's rule; with `INDEPENDENT` images at most.
    """
    images = len(features)
    total = torch.zeros(features.shape[1:], device=features.device)
    squares = torch.zeros(features.shape[-1], dtype=torch.float64, device=in_double(features.device))
    for start in range(0, images, READ_AT_ONCE):
        batch = features[start : start + READ_AT_ONCE].float()
        total += batch.sum(0)
        squares += batch.square().sum((0, 1, 2)).to(squares)
    means = total / images
    offset = means - means.mean((0, 1))
    between = offset.square().mean((0, 1))
    within = (squares.to(means) / (images * means[..., 0].numel()) - means.square().mean((0, 1))).clamp_min(0)
    by_chance = within / min(images, INDEPENDENT)
    kept = (1 - by_chance / between.clamp_min(1e-12)).clamp_min(0)
    return (kept * offset).half()


CENTERS = {"none": no_center, "position": position_means}
