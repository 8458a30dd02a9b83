"""What of a product's stores may be learned from."""

from moleflow.files.feature_store import NORMAL, PAINTED, Split, has_split, open_split
from moleflow.files.paths import Paths


def learned_splits(paths: Paths, product: str) -> list[Split]:
    """The splits of a product that may be learned from: its normal images, and those with painted defects if any.

    Args:
        paths: the repository's paths.
        product: the product.

    Returns:
        The splits, the training images first.

    Raises:
        StoreError: a store is missing or broken.
    """
    normal, probe = [open_split(paths.features.of(product), split) for split in NORMAL], paths.probes.of(product)
    painted = [open_split(probe, PAINTED)] if has_split(probe, PAINTED) else []
    return [*normal, *(split for split in painted if split.images)]
